//! Which processes the agent follows: rules on what is known of a process without looking into it.

use regex::Regex;
use serde::Deserialize;

/// What a rule looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Cmdline,
    User,
    Service,
    Cgroup,
}

/// A regular expression on one property of a process: `service=^shop$`.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Rule {
    field: Field,
    pattern: Regex,
    text: String,
}

impl std::str::FromStr for Rule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (field, pattern) = text.split_once('=').unwrap_or((text, ""));
        let field = match field {
            "cmdline" => Field::Cmdline,
            "user" => Field::User,
            "service" => Field::Service,
            "cgroup" => Field::Cgroup,
            _ => {
                return Err(format!(
                    "`{field}` is none of cmdline, user, service and cgroup; \
                     write FIELD=REGEX, like service=^shop$"
                ));
            }
        };
        if pattern.is_empty() {
            return Err("the regular expression is empty, which matches everything".into());
        }
        let pattern = Regex::new(pattern).map_err(|error| error.to_string())?;
        Ok(Self { field, pattern, text: text.to_owned() })
    }
}

impl TryFrom<String> for Rule {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl PartialEq for Rule {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

/// What rules can look at.
#[derive(Debug, Clone, Default)]
pub(super) struct Candidate {
    /// The command line, its arguments joined by spaces.
    pub(super) cmdline: String,
    /// The effective user's name, or number where it has none.
    pub(super) user: String,
    pub(super) service: String,
    pub(super) cgroup: String,
}

impl Rule {
    fn matches(&self, candidate: &Candidate) -> bool {
        self.pattern.is_match(match self.field {
            Field::Cmdline => &candidate.cmdline,
            Field::User => &candidate.user,
            Field::Service => &candidate.service,
            Field::Cgroup => &candidate.cgroup,
        })
    }
}

/// The rules together.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Selection {
    /// At least one has to match, if there is any.
    pub(super) include: Vec<Rule>,
    /// None may match.
    pub(super) exclude: Vec<Rule>,
}

impl Selection {
    /// Whether the process is followed.
    pub(super) fn takes(&self, candidate: &Candidate) -> bool {
        let any = |rules: &[Rule]| rules.iter().any(|rule| rule.matches(candidate));
        (self.include.is_empty() || any(&self.include)) && !any(&self.exclude)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn takes(include: &[&str], exclude: &[&str]) -> bool {
        let rules = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        let candidate = Candidate {
            cmdline: "python3 -m shop --port 80".into(),
            user: "www".into(),
            service: "shop".into(),
            cgroup: "/system.slice/shop.service".into(),
        };
        Selection { include: rules(include), exclude: rules(exclude) }.takes(&candidate)
    }

    #[test]
    fn one_include_is_enough_and_one_exclude_too_much() {
        assert!(takes(&[], &[]));
        assert!(takes(&["user=^root$", "service=^shop$"], &[]));
        assert!(takes(&["cmdline=-m shop --port=?"], &["cgroup=user.slice"]));
        assert!(!takes(&["user=^root$"], &[]));
        assert!(!takes(&[], &["cgroup=shop"]));
        assert!(!takes(&["service=shop"], &["user=www"]));
    }

    #[test]
    fn bad_rules_say_what_would_be_right() {
        for (bad, told) in
            [("shop", "service=^shop$"), ("name=x", "`name`"), ("user=", "empty"), ("user=(", "(")]
        {
            let error = bad.parse::<Rule>().unwrap_err();
            assert!(error.contains(told), "{bad}: {error}");
        }
    }
}
