//! `pitviper trace`: each descriptor call as it happens, with its Python line.

use std::io::{BufWriter, Write};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::arguments::TraceOptions;
use super::clock;
use super::error::{Exit, ProgramError};
use super::session::{News, Session};
use super::stop::Stop;
use super::{errno, runtime};
use crate::event::{DescriptorCall, DescriptorChange, ProcessId, StackStatus};
use crate::export::{self, WallClock, visible};
use crate::ledger::{DescriptorKind, DescriptorTotals, Owner, Ownership, StackNames, Totals};
use crate::python::{Frame, Stack};
use crate::source::ebpf::call_name;
use crate::source::{DescriptorOrigin, Snapshot, Source};

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
            "call": call_name(call.call),
            "fd": (call.fd >= 0).then_some(call.fd),
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
        let seconds = clock::unix_seconds(&self.clock, call.time_ns);
        let day = seconds.rem_euclid(86_400.0);
        let path = call
            .path
            .as_deref()
            .map(|path| format!("\"{}\"", visible(&String::from_utf8_lossy(path), PATH)));
        let what = match (call.change, error_of(call)) {
            (DescriptorChange::Failed, error) => {
                format!("{name}({}) = {}", path.unwrap_or_default(), error.unwrap_or_default())
            }
            (DescriptorChange::Opened, _) => {
                let kind = DescriptorKind::of(call.call, call.mode).name();
                format!("{name}({}) = {} <{kind}>", path.unwrap_or_default(), call.fd)
            }
            (DescriptorChange::Closed, _) if name == "close" => format!("close({})", call.fd),
            (DescriptorChange::Closed, _) => format!("{name} closes {}", call.fd),
            (DescriptorChange::None, _) => format!("{name} = {}", call.result),
        };
        let took =
            call.duration_ns.map_or_else(String::new, |ns| format!(" {:.0}µs", ns as f64 / 1e3));
        let place = site.map_or_else(|| format!("({})", status(call.stack_status)), place);
        format!(
            "{:02}:{:02}:{:09.6} {:>7} {what}{took}  {place}",
            (day / 3600.0) as u32,
            (day / 60.0) as u32 % 60,
            day % 60.0,
            call.tid,
        )
    }

    fn print(&mut self, session: &Session, call: &DescriptorCall) {
        let stack = session.names.stack(call.stack);
        let directory =
            session.members.get(&call.process).and_then(|m| m.facts.directory.as_deref());
        let site = stack.as_deref().and_then(|s| self.ownership.responsible_frame(s, directory));
        let site = site.filter(|(_, owner)| *owner > Owner::Unknown).map(|(frame, _)| frame);
        if self.options.json {
            let line = self.json(call, stack.as_deref(), site).to_string();
            self.write(&line);
            return;
        }
        let line = self.text(call, site);
        self.write(&line);
        if self.options.stack {
            for frame in stack.iter().flat_map(|s| &s.frames) {
                let line = format!("{:24}{}", "", place(frame));
                self.write(&line);
            }
        }
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
    let mut session =
        Session::attach(options.pid, &options.sizes.options(true, options.follow_children))?;
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
        session.run(&stop, until, LOOK, &mut |session, news| {
            if let News::Call(call) = news {
                printer.print(session, call);
            }
        })?;
        printer.closed |= printer.out.flush().is_err();
        session.bury()?;
    }
    session.source.stop();
    session.take_in(Duration::ZERO, &mut |session, news| {
        if let News::Call(call) = news {
            printer.print(session, call);
        }
    })?;
    let snapshot = session.source.snapshot()?;
    if options.json {
        let ledger = export::json::ledger(&totals(&snapshot, session.root));
        printer.write(&json!({"event": "summary", "ledger": ledger}).to_string());
    }
    let _ = printer.out.flush();
    super::tell_losses(&snapshot.flows);
    Ok(Exit::Clean)
}
