//! The parts of a finding that are the same for every rule about what a line does.

use std::collections::BTreeMap;

use crate::event::ProcessId;
use crate::ledger::{Conduct, Ledger};

use super::finding::{Confidence, Evidence, Finding, Kind, Severity};

/// What a rule says of a line.
pub(super) struct Draft {
    pub(super) kind: Kind,
    pub(super) severity: Severity,
    pub(super) confidence: Confidence,
    pub(super) evidence: BTreeMap<&'static str, Evidence>,
    pub(super) summary: String,
    pub(super) advice: String,
}

impl Draft {
    /// The finding about `conduct`.
    pub(super) fn about(self, conduct: &Conduct, ledger: &Ledger, now_ns: u64) -> Finding {
        let began = Some(conduct.total.first_ns);
        Finding {
            site: conduct.site.clone(),
            origin: conduct.origin().cloned(),
            stack: conduct.stack.as_ref().map_or_else(Vec::new, |stack| stack.frames.clone()),
            native: conduct.stack.as_ref().and_then(|stack| stack.natives.of_act(conduct.act)),
            last_ns: conduct.total.last_ns,
            ..self.about_process(conduct.process, began, ledger, now_ns)
        }
    }

    /// The finding about a process as a whole, by what was seen since `since_ns`. Where events were
    /// lost since then, a certain one becomes a suspicion, and says why.
    pub(super) fn about_process(
        mut self,
        process: ProcessId,
        since_ns: Option<u64>,
        ledger: &Ledger,
        now_ns: u64,
    ) -> Finding {
        let lost = ledger.losses().since(since_ns.unwrap_or(0));
        if lost > 0 {
            self.confidence = Confidence::Suspected;
            self.evidence.insert("lost_events", Evidence::Count(lost));
        }
        Finding {
            kind: self.kind,
            severity: self.severity,
            confidence: self.confidence,
            process,
            site: None,
            origin: None,
            stack: Vec::new(),
            native: None,
            evidence: self.evidence,
            summary: self.summary,
            advice: self.advice,
            first_ns: now_ns,
            last_ns: now_ns,
        }
    }
}
