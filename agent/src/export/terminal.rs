//! What a person reads: a block a finding as it comes, and a summary at the end.

use std::fmt::Write as _;

use crate::detect::{Change, Confidence, Finding, News, Severity};
use crate::ledger::{Overflow, Totals};
use crate::native::{NativeFrame, entries};
use crate::python::Frame;

use super::{Report, slow_lines, visible};

/// Characters of a name from the target that are shown.
const NAME: usize = 200;

/// Frames of a stack that are shown.
const FRAMES: usize = 12;

/// How to write.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Style {
    /// With colours (ANSI). Only for a terminal whose user has not asked for none.
    pub color: bool,
}

#[derive(Clone, Copy)]
enum Ink {
    Bold,
    Dim,
    Red,
    Yellow,
    Green,
}

impl Style {
    fn paint(self, ink: Ink, text: &str) -> String {
        let code = match ink {
            Ink::Bold => "1",
            Ink::Dim => "2",
            Ink::Red => "1;31",
            Ink::Yellow => "33",
            Ink::Green => "32",
        };
        if self.color { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// A change, as it happens.
pub fn news(news: &News, style: Style) -> String {
    match news.change {
        Change::New | Change::Upgraded => finding(&news.finding, style),
        Change::Downgraded => {
            let mut text = headline(&news.finding, style);
            push_line(&mut text, "  taken back: ", &visible(&news.finding.summary, 2_000));
            text
        }
        Change::Withdrawn => {
            let place = place_of(&news.finding);
            let kind = news.finding.kind.name();
            let line = format!("no {kind} after all: {place}");
            style.paint(Ink::Dim, &line) + "\n"
        }
    }
}

/// A finding as a block of lines.
pub fn finding(finding: &Finding, style: Style) -> String {
    let mut text = headline(finding, style);
    push_line(&mut text, "  ", &visible(&finding.summary, 2_000));
    if let Some(native) = &finding.native {
        let shown = |frame: &NativeFrame| format!("{}!{}", frame.object_name(), frame.name());
        let path: Vec<_> = entries(native).take(FRAMES).map(shown).collect();
        let path = visible(&format!("in {}", path.join(" ← ")), 2_000);
        push_line(&mut text, &style.paint(Ink::Dim, "  native  "), &path);
    }
    for (index, frame) in finding.stack.iter().take(FRAMES).enumerate() {
        let lead = if index == 0 { "  stack   " } else { "          " };
        push_line(&mut text, &style.paint(Ink::Dim, lead), &place(frame));
    }
    if finding.stack.len() > FRAMES {
        let more = finding.stack.len() - FRAMES;
        push_line(&mut text, "          ", &style.paint(Ink::Dim, &format!("… {more} more")));
    }
    push_line(&mut text, &style.paint(Ink::Green, "  advice  "), &visible(&finding.advice, 2_000));
    text
}

/// What stands at the end of a run.
pub fn summary(report: &Report, style: Style) -> String {
    let seconds = report.window_ns.1.saturating_sub(report.window_ns.0) / 1_000_000_000;
    let mut text = String::new();
    let title = format!(
        "pitviper {} · pid {} · Python {} · {seconds} s",
        report.version,
        report.process.pid,
        visible(&report.process.python, NAME)
    );
    push_line(&mut text, "", &style.paint(Ink::Bold, &title));
    let confirmed = report.findings.iter().filter(|f| f.confidence == Confidence::Confirmed);
    let confirmed = confirmed.count();
    let suspected = report.findings.len() - confirmed;
    let verdict = match (confirmed, suspected) {
        (0, 0) => style.paint(Ink::Green, "no findings"),
        (0, suspected) => format!("nothing confirmed, {suspected} suspected"),
        (confirmed, 0) => format!("{confirmed} confirmed"),
        (confirmed, suspected) => format!("{confirmed} confirmed, {suspected} suspected"),
    };
    push_line(&mut text, "", &verdict);
    for one in &report.findings {
        text.push('\n');
        text.push_str(&finding(one, style));
    }
    let slow = slow_lines::table(&report.findings);
    if !slow.is_empty() {
        text.push('\n');
        text.push_str(&slow);
    }
    text.push('\n');
    text.push_str(&ledger(&report.totals, style));
    text.push_str(&overflow(report, style));
    text
}

fn headline(finding: &Finding, style: Style) -> String {
    let ink = match finding.severity {
        Severity::Critical | Severity::High => Ink::Red,
        Severity::Medium => Ink::Yellow,
        Severity::Low => Ink::Dim,
    };
    format!(
        "{} {} ({})  {}\n",
        style.paint(ink, finding.severity.name()),
        style.paint(Ink::Bold, finding.kind.name()),
        finding.confidence.name(),
        style.paint(Ink::Bold, &place_of(finding)),
    )
}

fn place_of(finding: &Finding) -> String {
    finding.site.as_ref().map_or_else(|| "(no Python line known)".to_owned(), place)
}

/// `file.py:42 function`, harmless.
pub fn place(frame: &Frame) -> String {
    let function = frame.qualname.as_ref().unwrap_or(&frame.function);
    format!("{}:{} {}", visible(&frame.file, NAME), frame.line, visible(function, NAME))
}

/// The sums: nobody has to take a verdict on trust.
fn ledger(totals: &Totals, style: Style) -> String {
    let mut line = format!("events: {} seen, {} received", totals.emitted(), totals.received());
    let dropped = totals.dropped();
    let lost: u64 = dropped.values().fold(0, |sum, lost| sum.saturating_add(*lost));
    if lost == 0 {
        line.push_str(", none lost");
    } else {
        // Writing to a string does not fail.
        _ = write!(line, ", {lost} lost");
        let causes = dropped.iter().filter(|(_, lost)| **lost > 0);
        for (index, (cause, lost)) in causes.enumerate() {
            _ = write!(line, "{} {cause} {lost}", if index == 0 { ":" } else { "," });
        }
    }
    let stacks = totals.stacks;
    _ = write!(line, " · stacks: {} whole", stacks.complete);
    for (count, name) in [
        (stacks.truncated, "cut"),
        (stacks.unreadable, "unreadable"),
        (stacks.no_thread_state, "without Python"),
    ] {
        if count > 0 {
            _ = write!(line, ", {count} {name}");
        }
    }
    let descriptors = totals.descriptors;
    _ = write!(line, " · descriptors: {} tracked", descriptors.tracked);
    if let (Some(actual), Some(drift)) = (descriptors.actual, descriptors.drift()) {
        _ = write!(line, ", {actual} in its table (drift {drift:+})");
    }
    _ = write!(line, ", {} open before the attach", descriptors.before_attach);
    let ink = if lost == 0 { Ink::Dim } else { Ink::Yellow };
    style.paint(ink, &line) + "\n"
}

fn overflow(report: &Report, style: Style) -> String {
    let Overflow { processes, accounts, stacks, unclosed, stale_snapshots } = report.overflow;
    let counts = [
        (processes, "records of too many processes"),
        (accounts, "records of too many lines"),
        (stacks, "records of too many stacks"),
        (unclosed, "records of too many unclosed resources"),
        (stale_snapshots, "snapshots that came twice"),
        (report.findings_left_out, "findings"),
    ];
    let over: Vec<String> = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    if over.is_empty() {
        return String::new();
    }
    style.paint(Ink::Yellow, &format!("beyond the bounds: {}", over.join(", "))) + "\n"
}

fn push_line(text: &mut String, lead: &str, line: &str) {
    text.push_str(lead);
    text.push_str(line);
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::sample;

    /// Exercise the summary against its golden file, plain and in colour.
    #[test]
    fn the_summary_reads_well() {
        sample::assert_golden("summary.txt", &summary(&sample::report(), Style { color: false }));
        let colored = summary(&sample::report(), Style { color: true });
        sample::assert_golden("summary.ansi", &colored.replace('\x1b', "␛"));
    }

    /// Exercise each kind of news against its golden file.
    #[test]
    fn news_reads_well() {
        let found = sample::report().findings[0].clone();
        let changes = [Change::New, Change::Downgraded, Change::Withdrawn];
        let text: Vec<String> = changes
            .into_iter()
            .map(|change| super::news(&News { change, finding: found.clone() }, Style::default()))
            .collect();
        sample::assert_golden("news.txt", &text.join("--\n"));
    }

    /// Exercise names that would move the cursor, colour the screen or forge a line.
    #[test]
    fn hostile_names_do_nothing() {
        let mut report = sample::report();
        let hostile = "\x1b]0;owned\x07\nconfirmed\r\u{202e}\u{9b}2J";
        report.process.python = hostile.to_owned();
        for one in &mut report.findings {
            let frame = Frame::new(hostile, hostile, Some(hostile.into()), 1);
            one.summary = hostile.to_owned();
            one.advice = hostile.to_owned();
            one.site = Some(frame.clone());
            one.stack = vec![frame; 40];
        }
        let lines = summary(&sample::report(), Style::default()).lines().count();
        let text = summary(&report, Style { color: false });
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()));
        assert!(!text.contains('\u{202e}'));
        assert!(text.lines().count() <= lines + 3 * (FRAMES + 1), "no line was forged");
    }
}
