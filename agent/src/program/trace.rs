//! `pitviper trace`: each call as it happens, with its Python line.

use std::io::{BufWriter, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::arguments::TraceOptions;
use super::clock;
use super::error::{Exit, ProgramError};
use super::family::Family;
use super::session::{News, Session};
use super::stop::Stop;
use super::{errno, runtime};
use crate::event::{
    ChildChange, ChildEvent, DescriptorCall, DescriptorChange, Object, ProcessId, StackId,
    StackStatus,
};
use crate::export::{self, WallClock, visible};
use crate::ledger::{
    DescriptorKind, DescriptorTotals, ObjectNames, Owner, Ownership, StackNames, Totals,
};
use crate::python::{Frame, Stack};
use crate::source::ebpf::{call_name, call_wait};
use crate::source::{DescriptorOrigin, Snapshot, Source, WaitClass};

/// How often events are looked for: the kernel side wakes the agent only when many wait.
const LOOK: Duration = Duration::from_millis(20);

/// Characters of a path, a file or a function that are shown.
const PATH: usize = 256;

fn place(frame: &Frame) -> String {
    let function = frame.qualname.as_ref().unwrap_or(&frame.function);
    format!("{}:{} {}", visible(&frame.file, PATH), frame.line, visible(function, PATH))
}

struct Printer<'a> {
    options: &'a TraceOptions,
    clock: WallClock,
    ownership: Ownership,
    out: BufWriter<std::io::StdoutLock<'static>>,
    /// The reader of standard output has gone.
    closed: bool,
}

fn status(status: StackStatus) -> &'static str {
    match status {
        StackStatus::Complete => "complete",
        StackStatus::Truncated => "truncated",
        StackStatus::Unreadable => "unreadable",
        StackStatus::NoThreadState => "no_thread_state",
    }
}

fn error_of(call: &DescriptorCall) -> Option<String> {
    (call.result < 0).then(|| {
        errno::name(-call.result).map_or_else(|| format!("errno {}", -call.result), str::to_owned)
    })
}

/// The descriptor that a call used, where it is the first argument.
fn used(call: &DescriptorCall) -> Option<i32> {
    use WaitClass as Class;
    let uses = matches!(
        call_wait(call.call),
        Class::Read
            | Class::Write
            | Class::Receive
            | Class::Send
            | Class::Connect
            | Class::Accept
            | Class::Sync
            | Class::List
    );
    uses.then_some(call.arguments[0] as i32)
}

/// What a call that makes and ends no descriptor did.
fn deed(name: &str, call: &DescriptorCall) -> String {
    let about = match used(call) {
        Some(fd) => fd.to_string(),
        None if matches!(name, "mmap" | "munmap") => format!("{} bytes", call.arguments[1]),
        None => String::new(),
    };
    match error_of(call) {
        Some(error) => format!("{name}({about}) = {error}"),
        None if call_wait(call.call) == WaitClass::Map => {
            format!("{name}({about}) = {:#x}", call.result)
        }
        None => format!("{name}({about}) = {}", call.result),
    }
}

/// How a process ended.
fn ending(status: u32) -> String {
    match status & 0x7f {
        0 => format!("with {}", status >> 8 & 0xff),
        signal => format!("by signal {signal}"),
    }
}

impl Printer<'_> {
    fn write(&mut self, line: &str) {
        let written = self.out.write_all(line.as_bytes()).and_then(|()| self.out.write_all(b"\n"));
        self.closed |= written.is_err();
    }

    fn json(&self, call: &DescriptorCall, stack: Option<&Stack>, site: Option<&Frame>) -> Value {
        let frames: Vec<Value> =
            stack.map_or_else(Vec::new, |s| s.frames.iter().map(export::json::frame).collect());
        let origin = stack.and_then(|s| s.frames.first());
        json!({
            "time": clock::unix_seconds(&self.clock, call.time_ns),
            "monotonic_ns": call.time_ns,
            "pid": call.pid,
            "tid": call.tid,
            "event": match call.change {
                DescriptorChange::Opened => "open",
                DescriptorChange::Closed => "close",
                DescriptorChange::Failed => "fail",
                DescriptorChange::None => "call",
            },
            "families": Family::names(call),
            "call": call_name(call.call),
            "fd": if call.fd >= 0 { Some(call.fd) } else { used(call) },
            "kind": (call.fd >= 0).then(|| DescriptorKind::of(call.call, call.mode).name()),
            "arguments": call.arguments,
            "result": call.result,
            "error": error_of(call),
            "duration_ns": call.duration_ns,
            "path": call.path.as_deref().map(String::from_utf8_lossy),
            "site": site.map(export::json::frame),
            "origin": origin.map(export::json::frame),
            "stack": frames,
            "stack_status": status(call.stack_status),
        })
    }

    fn text(&self, call: &DescriptorCall, site: Option<&Frame>) -> String {
        let name = call_name(call.call).unwrap_or("?");
        let path = call
            .path
            .as_deref()
            .map(|path| format!("\"{}\"", visible(&String::from_utf8_lossy(path), PATH)));
        let what = match (call.change, error_of(call)) {
            (DescriptorChange::Failed, error) if path.is_some() => {
                format!("{name}({}) = {}", path.unwrap_or_default(), error.unwrap_or_default())
            }
            (DescriptorChange::Opened, _) => {
                let kind = DescriptorKind::of(call.call, call.mode).name();
                format!("{name}({}) = {} <{kind}>", path.unwrap_or_default(), call.fd)
            }
            (DescriptorChange::Closed, _) if name == "close" => format!("close({})", call.fd),
            (DescriptorChange::Closed, _) => format!("{name} closes {}", call.fd),
            (DescriptorChange::None | DescriptorChange::Failed, _) => deed(name, call),
        };
        let took =
            call.duration_ns.map_or_else(String::new, |ns| format!(" {:.0}µs", ns as f64 / 1e3));
        let place = site.map_or_else(|| format!("({})", status(call.stack_status)), place);
        format!("{} {:>7} {what}{took}  {place}", self.time(call.time_ns), call.tid)
    }

    /// The time of the day.
    fn time(&self, monotonic_ns: u64) -> String {
        let day = clock::unix_seconds(&self.clock, monotonic_ns).rem_euclid(86_400.0);
        let (hours, minutes) = ((day / 3600.0) as u32, (day / 60.0) as u32 % 60);
        format!("{hours:02}:{minutes:02}:{:09.6}", day % 60.0)
    }

    /// The stack, and the line of it that is responsible.
    fn find(
        &self,
        session: &Session,
        process: ProcessId,
        stack: StackId,
    ) -> (Option<Arc<Stack>>, Option<Frame>) {
        let stack = session.names.stack(stack);
        let directory = session.members.get(&process).and_then(|m| m.facts.directory.as_deref());
        let site = stack.as_deref().and_then(|s| self.ownership.responsible_frame(s, directory));
        let site = site.filter(|(_, owner)| *owner > Owner::Unknown);
        let site = site.map(|(frame, _)| frame.clone());
        (stack, site)
    }

    fn is_wanted(&self, call: &DescriptorCall) -> bool {
        let slow = call.duration_ns.map(Duration::from_nanos);
        self.options.what.iter().any(|family| family.has(call))
            && self.options.slow.is_none_or(|least| slow.is_some_and(|took| took >= least))
    }

    fn wants_processes(&self) -> bool {
        self.options.what.iter().any(|f| matches!(f, Family::Spawns | Family::All))
    }

    fn print(&mut self, session: &Session, news: &News<'_>) {
        match news {
            News::Call(call) if self.is_wanted(call) => self.print_call(session, call),
            News::Child(child) if self.wants_processes() => self.print_child(session, child),
            News::Executed(process) if self.wants_processes() => {
                self.print_own(session, *process, "exec");
            }
            News::Ended(process) if self.wants_processes() => {
                self.print_own(session, *process, "exit");
            }
            _ => {}
        }
    }

    fn print_call(&mut self, session: &Session, call: &DescriptorCall) {
        let (stack, site) = self.find(session, call.process, call.stack);
        if self.options.json {
            let line = self.json(call, stack.as_deref(), site.as_ref()).to_string();
            self.write(&line);
            return;
        }
        let line = self.text(call, site.as_ref());
        self.write(&line);
        self.print_stack(stack.as_deref());
    }

    fn print_stack(&mut self, stack: Option<&Stack>) {
        if self.options.stack {
            for frame in stack.iter().flat_map(|s| &s.frames) {
                let line = format!("{:24}{}", "", place(frame));
                self.write(&line);
            }
        }
    }

    /// A process that a traced one made.
    fn print_child(&mut self, session: &Session, child: &ChildEvent) {
        let lived_ns = child.time_ns.saturating_sub(child.born_ns);
        let ended = match child.change {
            ChildChange::Ended { status } => Some(status),
            ChildChange::Born | ChildChange::Executed => None,
        };
        if let Some(least) = self.options.slow
            && (ended.is_none() || Duration::from_nanos(lived_ns) < least)
        {
            return;
        }
        let (stack, site) = self.find(session, child.process, child.stack);
        let command = session.objects.object(child.command);
        if self.options.json {
            let words = match command {
                Some(Object::Command { arguments, .. }) => Some(arguments),
                _ => None,
            };
            let words = words.map(|words| {
                words.iter().map(|word| String::from_utf8_lossy(word)).collect::<Vec<_>>()
            });
            let origin = stack.as_deref().and_then(|s| s.frames.first());
            let line = json!({
                "time": clock::unix_seconds(&self.clock, child.time_ns),
                "monotonic_ns": child.time_ns,
                "pid": child.pid,
                "parent": child.parent,
                "event": match child.change {
                    ChildChange::Born => "born",
                    ChildChange::Executed => "exec",
                    ChildChange::Ended { .. } => "exit",
                },
                "families": ["spawns"],
                "command": words,
                "status": ended,
                "duration_ns": ended.map(|_| lived_ns),
                "site": site.as_ref().map(export::json::frame),
                "origin": origin.map(export::json::frame),
            });
            self.write(&line.to_string());
            return;
        }
        let command = command.map(|command| visible(&command.name(), PATH));
        let what = match (child.change, command) {
            (ChildChange::Born, _) => format!("born of {}", child.parent),
            (ChildChange::Executed, command) => format!("runs {}", command.unwrap_or("?".into())),
            (ChildChange::Ended { status }, command) => {
                let command = command.map_or_else(String::new, |c| format!(" ({c})"));
                let lived = lived_ns as f64 / 1e6;
                format!("ended {} after {lived:.1} ms{command}", ending(status))
            }
        };
        let place = site.as_ref().map_or_else(|| "(no line)".to_owned(), place);
        let line = format!("{} {:>7} {what}  {place}", self.time(child.time_ns), child.pid);
        self.write(&line);
        self.print_stack(stack.as_deref());
    }

    /// The process that was asked for; what it makes tells of itself.
    fn print_own(&mut self, session: &Session, process: ProcessId, event: &str) {
        let Some(member) = session.root().filter(|_| Some(process) == session.root) else { return };
        if self.options.slow.is_some() {
            return;
        }
        let (pid, words) = (member.facts.pid, &member.facts.cmdline);
        let monotonic_ns = clock::now().monotonic_ns;
        let line = if self.options.json {
            json!({
                "time": clock::unix_seconds(&self.clock, monotonic_ns),
                "monotonic_ns": monotonic_ns,
                "pid": pid,
                "event": event,
                "families": ["spawns"],
                "command": words,
            })
            .to_string()
        } else {
            let now = self.time(monotonic_ns);
            let command = visible(&words.join(" "), PATH);
            match event {
                "exec" => format!("{now} {pid:>7} runs {command}"),
                _ => format!("{now} {pid:>7} ended ({command})"),
            }
        };
        self.write(&line);
    }
}

fn totals(snapshot: &Snapshot, process: ProcessId) -> Totals {
    let of_process = snapshot.descriptors.iter().filter(|d| d.process == process);
    let before = of_process.clone().filter(|d| d.origin == DescriptorOrigin::BeforeAttach);
    Totals {
        fill: snapshot.fill.clone(),
        flows: snapshot.flows.clone(),
        stacks: snapshot.stacks,
        descriptors: DescriptorTotals {
            tracked: of_process.count() as u64,
            actual: snapshot.tables.iter().find(|t| t.process == process).map(|t| t.actual),
            before_attach: before.count() as u64,
        },
    }
}

/// Runs the command.
pub(super) fn run(options: &TraceOptions) -> Result<Exit, ProgramError> {
    let runtime = runtime()?;
    let mut stop = Stop::new(&runtime)?;
    let mut sizes = options.sizes.options(true, options.follow_children);
    sizes.trace_others = options.what.iter().any(|family| *family != Family::Descriptors);
    let mut session = Session::attach(options.pid, &sizes)?;
    super::greet(&session);
    stop.after(options.duration);
    let mut printer = Printer {
        options,
        clock: clock::now(),
        ownership: Ownership::new(options.app_root.iter().cloned()),
        out: BufWriter::with_capacity(1 << 16, std::io::stdout().lock()),
        closed: false,
    };
    while !stop.is_due() && session.is_alive() && !printer.closed {
        let until = Instant::now() + LOOK;
        session.run(&stop, until, LOOK, &mut |session, news| printer.print(session, &news))?;
        printer.closed |= printer.out.flush().is_err();
        session.bury()?;
    }
    session.source.stop();
    session.take_in(Duration::ZERO, &mut |session, news| printer.print(session, &news))?;
    let snapshot = session.source.snapshot()?;
    if options.json {
        let ledger = export::json::ledger(&totals(&snapshot, session.root.unwrap_or(ProcessId(0))));
        printer.write(&json!({"event": "summary", "ledger": ledger}).to_string());
    }
    let _ = printer.out.flush();
    super::tell_losses(&snapshot.flows);
    Ok(Exit::Clean)
}
