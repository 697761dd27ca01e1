//! The JSON document that `pitviper attach --json` prints.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::site::Site;

/// One report.
#[derive(Debug)]
pub struct Report(Value);

impl Report {
    /// Reads the document.
    ///
    /// # Errors
    /// When the text is not one JSON document, or has no findings or no ledger.
    pub fn parse(text: &str) -> Result<Report> {
        let document: Value = serde_json::from_str(text)
            .with_context(|| format!("the report is not one JSON document: {text:.2000?}"))?;
        ensure!(document["findings"].is_array(), "no `findings` in {document}");
        ensure!(document["ledger"].is_object(), "no `ledger` in {document}");
        Ok(Report(document))
    }

    /// All findings.
    pub fn findings(&self) -> &[Value] {
        self.0["findings"].as_array().map_or(&[], Vec::as_slice)
    }

    /// Confirmed findings of one kind.
    pub fn confirmed(&self, kind: &str) -> Vec<&Value> {
        self.findings().iter().filter(|finding| is_confirmed(finding, kind)).collect()
    }

    /// The confirmed finding of `kind` at `site`.
    ///
    /// # Errors
    /// When there is none; the message has what was found instead.
    pub fn confirmed_at(&self, kind: &str, site: &Site) -> Result<&Value> {
        self.confirmed(kind)
            .into_iter()
            .find(|finding| site.is(&finding["site"]))
            .with_context(|| format!("no confirmed {kind} at {site:?}; found: {}", self.outline()))
    }

    /// The ledger.
    pub fn ledger(&self) -> Ledger<'_> {
        Ledger(&self.0["ledger"])
    }

    /// What each line did, by sorts of acts.
    pub fn activity(&self) -> &[Value] {
        self.0["activity"].as_array().map_or(&[], Vec::as_slice)
    }

    /// How long calls of a class took in the process; null when there were none.
    pub fn waits(&self, class: &str) -> &Value {
        let waits = self.0["waits"].as_array().map_or(&[][..], Vec::as_slice);
        waits.iter().find(|one| one["class"] == class).unwrap_or(&Value::Null)
    }

    /// A line a finding, for error messages.
    pub fn outline(&self) -> String {
        let lines = self.findings().iter().map(outline);
        lines.collect::<Vec<_>>().join("\n")
    }
}

/// Whether a finding is of this kind and confirmed.
pub fn is_confirmed(finding: &Value, kind: &str) -> bool {
    finding["kind"] == kind && finding["confidence"] == "confirmed"
}

/// A finding in one line.
pub fn outline(finding: &Value) -> String {
    let Value::Object(_) = finding else { return finding.to_string() };
    format!(
        "{} {} site {} origin {} evidence {}",
        finding["confidence"],
        finding["kind"],
        finding["site"],
        finding["origin"],
        finding["evidence"]
    )
}

/// The loss ledger of a report or of a trace's summary.
#[derive(Debug, Clone, Copy)]
pub struct Ledger<'a>(pub &'a Value);

impl Ledger<'_> {
    /// The count at a JSON pointer such as `/by_kind/opened/emitted`.
    ///
    /// # Errors
    /// When it is not there or not a count.
    pub fn count(&self, pointer: &str) -> Result<i64> {
        let value = self.0.pointer(pointer).and_then(Value::as_i64);
        value.with_context(|| format!("no count at {pointer} of the ledger {}", self.0))
    }

    /// The sum of the losses at a JSON pointer to a `dropped` table.
    ///
    /// # Errors
    /// When it is not there or holds something else than counts.
    pub fn dropped(&self, pointer: &str) -> Result<i64> {
        let table = self.0.pointer(pointer).and_then(Value::as_object);
        let table = table.with_context(|| format!("no {pointer} in the ledger {}", self.0))?;
        table.values().map(|n| n.as_i64().context("a loss is not a count")).sum()
    }

    /// Checks emitted = received + dropped, in all and for each kind.
    ///
    /// # Errors
    /// When a sum is off.
    pub fn check_sums(&self) -> Result<()> {
        let mut folders = vec![String::new()];
        let kinds = self.0["by_kind"].as_object().context("no by_kind in the ledger")?;
        folders.extend(kinds.keys().map(|kind| format!("/by_kind/{kind}")));
        for folder in folders {
            let emitted = self.count(&format!("{folder}/emitted"))?;
            let received = self.count(&format!("{folder}/received"))?;
            let dropped = self.dropped(&format!("{folder}/dropped"))?;
            ensure!(
                emitted == received + dropped,
                "{folder}: {emitted} emitted, {received} received, {dropped} dropped: {}",
                self.0
            );
        }
        Ok(())
    }
}
