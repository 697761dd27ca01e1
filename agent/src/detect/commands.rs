//! Commands that a line has started: how many, which the most, how often the same one again.

use std::collections::BTreeMap;

use crate::event::{Object, ObjectId};
use crate::ledger::{Conduct, Ledger};
use crate::source::Act;

/// Interpreters that the kernel puts before a script's own name.
const INTERPRETERS: [&str; 6] = ["sh", "bash", "dash", "zsh", "env", "busybox"];

/// A command is cut to this many characters in a sentence.
const NAME_CHARACTERS: usize = 60;

/// What a line's own children executed (not what these started in turn).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Commands {
    /// Children that it made.
    pub(super) started: u64,
    /// Times that a child executed something.
    pub(super) executed: u64,
    /// Different commands among these.
    pub(super) distinct: u64,
    /// The most frequent command; of several, the one that came first.
    pub(super) top: Option<ObjectId>,
    /// How often that one.
    pub(super) top_count: u64,
}

impl Commands {
    /// Of the line of `conduct`, since the attach.
    pub(super) fn of(ledger: &Ledger, conduct: &Conduct) -> Self {
        let mut all = Self::default();
        let mut by_command: BTreeMap<ObjectId, (u64, u64)> = BTreeMap::new();
        let own = ledger.acts().iter().filter(|act| {
            act.process == conduct.process
                && act.call == 0
                && matches!(act.act, Act::Spawn | Act::Exec)
                && ledger.site_of(act.process, act.stack) == conduct.site.as_ref()
        });
        for act in own {
            if act.act == Act::Spawn {
                all.started += act.sums.count;
                continue;
            }
            // What has been summed up may be any commands: it says nothing of repetition.
            if act.object == 0 {
                continue;
            }
            all.executed += act.sums.count;
            let (count, first_ns) = by_command.entry(act.object).or_insert((0, act.first_ns));
            *count += act.sums.count;
            *first_ns = (*first_ns).min(act.first_ns);
        }
        all.distinct = by_command.len() as u64;
        let top = by_command
            .into_iter()
            .max_by_key(|(_, (count, first_ns))| (*count, std::cmp::Reverse(*first_ns)));
        if let Some((command, (count, _))) = top {
            all.top = Some(command);
            all.top_count = count;
        }
        all
    }

    /// Share of the executions that ran a command which had run before.
    pub(super) fn repeated_share(&self) -> f64 {
        if self.executed == 0 {
            return 0.0;
        }
        self.executed.saturating_sub(self.distinct) as f64 / self.executed as f64
    }

    /// The most frequent command with all its words.
    pub(super) fn command(&self, ledger: &Ledger) -> Option<String> {
        let Some(Object::Command { arguments, .. }) = ledger.object(self.top?) else { return None };
        let words: Vec<_> = arguments.iter().map(|word| String::from_utf8_lossy(word)).collect();
        (!words.is_empty()).then(|| words.join(" "))
    }

    /// The same as it is called: a script without its interpreter, a program without its folder.
    pub(super) fn name(&self, ledger: &Ledger) -> Option<String> {
        let Some(Object::Command { arguments, .. }) = ledger.object(self.top?) else { return None };
        let words: Vec<_> = arguments.iter().map(|word| String::from_utf8_lossy(word)).collect();
        let first = words.first().map(|word| base(word))?;
        let script = INTERPRETERS.contains(&first) && words.get(1).is_some_and(|w| w.contains('/'));
        let words = if script { &words[1..] } else { &words[..] };
        let mut name = base(&words[0]).to_owned();
        for word in &words[1..] {
            name.push(' ');
            name.push_str(word);
        }
        if name.chars().count() > NAME_CHARACTERS {
            name = name.chars().take(NAME_CHARACTERS).collect();
            name.push('…');
        }
        Some(name)
    }
}

fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
