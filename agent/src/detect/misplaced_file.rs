//! `misplaced-file`: a file where a rule of the user says that it must not be.

use std::collections::{BTreeMap, BTreeSet};

use globset::{GlobBuilder, GlobMatcher};

use crate::event::{ObjectId, ProcessId};
use crate::ledger::Ledger;
use crate::source::Act;

use super::draft::Draft;
use super::finding::{Confidence, Evidence, Kind, Severity};
use super::{Verdicts, file_use, wording};

/// Where files belong: `FILES=PLACE`, two globs over absolute paths.
///
/// `*` and `?` stay within a name, `**` crosses directories; a glob without a `/` is about the name of
/// the file alone.
#[derive(Debug, Clone)]
pub struct Place {
    rule: String,
    files: GlobMatcher,
    place: GlobMatcher,
}

impl Place {
    /// Reads a rule.
    ///
    /// # Errors
    ///
    /// What is wrong with it, and what one looks like.
    pub fn parse(rule: &str) -> Result<Self, String> {
        let Some((files, place)) = rule.split_once('=') else {
            return Err("a rule is FILES=PLACE, two globs, like '*.db=/data/**'".into());
        };
        if files.is_empty() || place.is_empty() {
            return Err("both globs of FILES=PLACE must be given, like '*.db=/data/**'".into());
        }
        Ok(Self { rule: rule.to_owned(), files: matcher(files)?, place: matcher(place)? })
    }

    fn is_broken_by(&self, path: &str) -> bool {
        self.files.is_match(path) && !self.place.is_match(path)
    }
}

impl PartialEq for Place {
    fn eq(&self, other: &Self) -> bool {
        self.rule == other.rule
    }
}

fn matcher(glob: &str) -> Result<GlobMatcher, String> {
    let absolute = if glob.contains('/') { glob.to_owned() } else { format!("**/{glob}") };
    if !absolute.starts_with('/') && !absolute.starts_with('*') {
        return Err(format!("`{glob}` matches no absolute path; begin it with / or **/"));
    }
    let glob = GlobBuilder::new(&absolute).literal_separator(true).build();
    Ok(glob.map_err(|error| error.to_string())?.compile_matcher())
}

/// Thresholds of `misplaced-file`: the user's rules, none by default.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MisplacedFileThresholds {
    /// The rules.
    pub places: Vec<Place>,
}

/// Judges every line. A file is told where it is opened, and only if that was not seen, where it is
/// written or read.
pub(super) fn evaluate(
    ledger: &Ledger,
    thresholds: &MisplacedFileThresholds,
    now_ns: u64,
    verdicts: &mut Verdicts,
) {
    if thresholds.places.is_empty() {
        return;
    }
    let mut told: BTreeSet<(ProcessId, ObjectId)> = BTreeSet::new();
    for act in [Act::Open, Act::Write, Act::Read] {
        for conduct in ledger.conducts_of(act) {
            let mut broken: Vec<(String, &Place)> = Vec::new();
            for id in conduct.objects.keys() {
                let Some(path) = file_use::path(ledger, *id) else { continue };
                let rule = thresholds.places.iter().find(|place| place.is_broken_by(&path));
                if let Some(rule) = rule
                    && (act == Act::Open || !told.contains(&(conduct.process, *id)))
                {
                    told.insert((conduct.process, *id));
                    broken.push((path.into_owned(), rule));
                }
            }
            broken.sort_by(|one, other| one.0.cmp(&other.0));
            if let Some((path, rule)) = broken.first() {
                let draft = draft(act, path, rule, broken.len(), conduct.total.sums.count);
                verdicts.findings.push(draft.about(conduct, ledger, now_ns));
            }
        }
    }
}

fn draft(act: Act, path: &str, rule: &Place, files: usize, times: u64) -> Draft {
    let done = match act {
        Act::Open => "opened",
        Act::Write => "written to",
        _ => "read",
    };
    let others = if files > 1 { format!(" and {} more", files - 1) } else { String::new() };
    let place = rule.place.glob().glob();
    Draft {
        kind: Kind::MisplacedFile,
        severity: Severity::Medium,
        confidence: Confidence::Confirmed,
        summary: format!(
            "`{path}`{others} {done} here, {} times by this line: `{}` belongs into `{place}`.",
            wording::count(times),
            rule.files.glob().glob(),
        ),
        advice: format!(
            "Take the path from the configuration, and let it be one that `{place}` matches."
        ),
        evidence: BTreeMap::from([
            ("path", Evidence::Text(path.to_owned())),
            ("rule", Evidence::Text(rule.rule.clone())),
            ("files", Evidence::Count(files as u64)),
            ("count", Evidence::Count(times)),
        ]),
    }
}

#[cfg(test)]
mod tests {
    use super::super::script::{PROCESS, Script, frame};
    use super::super::{Rules, Thresholds};
    use super::*;
    use crate::source::Sums;

    fn broken(rule: &str, path: &str) -> bool {
        Place::parse(rule).expect(rule).is_broken_by(path)
    }

    /// Exercise globs with and without directories, and what is no rule.
    #[test]
    fn rules_of_the_user() {
        assert!(broken("*.db=/data/**", "/home/sam/.sam/auto_learning.db"));
        assert!(!broken("*.db=/data/**", "/data/sam/auto_learning.db"));
        assert!(!broken("*.db=/data/**", "/home/sam/auto_learning.db-journal"));
        assert!(broken("/home/**/*.log=/var/log/*", "/home/sam/a.log"));
        assert!(!broken("*.log=/var/log/*", "/var/log/a.log"));
        assert!(broken("*.log=/var/log/*", "/var/log/deep/a.log"));
        for (bad, word) in
            [("*.db", "FILES=PLACE"), ("=x", "both"), ("[=/x", "["), ("a/b=/x", "absolute")]
        {
            let error = Place::parse(bad).expect_err(bad);
            assert!(error.contains(word), "{bad}: {error}");
        }
    }

    /// Exercise a database on the wrong disk, told once at the line that opens it; one in its place,
    /// and no rules at all.
    #[test]
    fn told_at_the_line_that_opens_it() {
        let mut script = Script::default();
        let (wrong, right, writes) = (script.line(23), script.line(30), script.line(40));
        let (misplaced, placed) = (script.file("/home/sam/a.db"), script.file("/data/sam/a.db"));
        let once = Sums { count: 1, ..Sums::default() };
        script.act(1.0, wrong, Act::Open, misplaced, once);
        script.act(1.0, writes, Act::Write, misplaced, once);
        script.act(1.0, right, Act::Open, placed, once);
        let story = script.play(3);
        assert!(story.of(Kind::MisplacedFile).is_empty(), "no rules");

        let places = vec![Place::parse("*.db=/data/**").expect("a rule")];
        let misplaced_file = MisplacedFileThresholds { places };
        let rules = Rules::new(Thresholds { misplaced_file, ..Thresholds::default() });
        let verdicts = rules.evaluate(&story.ledger, 5_003_000_000_000);
        let found: Vec<_> =
            verdicts.findings.iter().filter(|one| one.kind == Kind::MisplacedFile).collect();
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].process, found[0].site.clone()),
            (PROCESS, Some(frame("/srv/app.py", 23)))
        );
        assert_eq!(found[0].confidence, Confidence::Confirmed);
        assert!(found[0].summary.contains("/home/sam/a.db"), "{}", found[0].summary);
    }
}
