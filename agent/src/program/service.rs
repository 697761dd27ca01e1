//! What a process is called when there are many: its service.
//!
//! The name of a process's program says `python3`, and its pid another number after each restart.
//! People know it by a name of their own, by its systemd unit, or by the module or script that it
//! runs: the first of these that there is.

use std::path::Path;

use regex::Regex;
use serde::Deserialize;

use super::target::Facts;

/// Options of the interpreter that take their value as the next argument.
const WITH_VALUE: [&str; 3] = ["-W", "-X", "--check-hash-based-pycs"];

/// Processes whose command line matches have this name.
#[derive(Debug, Clone)]
pub(super) struct ServiceRule {
    pattern: Regex,
    name: String,
}

/// A rule as a table of the configuration.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    r#match: String,
    name: String,
}

impl ServiceRule {
    fn new(pattern: &str, name: &str) -> Result<Self, String> {
        if name.is_empty() {
            return Err("a service's name cannot be empty".into());
        }
        let pattern = Regex::new(pattern).map_err(|error| error.to_string())?;
        Ok(Self { pattern, name: name.to_owned() })
    }
}

impl<'de> Deserialize<'de> for ServiceRule {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let table = Table::deserialize(from)?;
        Self::new(&table.r#match, &table.name).map_err(serde::de::Error::custom)
    }
}

/// `NAME=REGEX`, as on the command line.
impl std::str::FromStr for ServiceRule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, pattern) =
            text.split_once('=').ok_or("write NAME=REGEX, like shop=gunicorn.*shop")?;
        Self::new(pattern, name)
    }
}

/// How processes are named.
#[derive(Debug, Clone, Default)]
pub(super) struct ServiceNames {
    rules: Vec<ServiceRule>,
}

impl ServiceNames {
    pub(super) fn new(rules: Vec<ServiceRule>) -> Self {
        Self { rules }
    }

    /// The service of a process.
    pub(super) fn of(&self, facts: &Facts) -> String {
        let line = facts.cmdline.join(" ");
        let rule = self.rules.iter().find(|rule| rule.pattern.is_match(&line));
        rule.map(|rule| rule.name.as_str())
            .or_else(|| unit(&facts.cgroup))
            .map_or_else(|| by_command(&facts.cmdline, &facts.executable), str::to_owned)
    }
}

/// The systemd unit that a control group belongs to, without its ending. A user's own manager says
/// nothing: all that the user starts by hand is below it.
fn unit(cgroup: &str) -> Option<&str> {
    let mut units = cgroup.rsplit('/').filter_map(|part| part.strip_suffix(".service"));
    units.next().filter(|unit| !unit.is_empty() && !unit.starts_with("user@"))
}

/// The module or script that a command line runs, else the name of its program: `uvicorn` of
/// `python3 -X dev -m uvicorn app:app`, `worker` of `python /srv/worker.py`, `gunicorn` of
/// `python /usr/bin/gunicorn app:app`; a package's folder for its `__main__.py`.
fn by_command(cmdline: &[String], executable: &str) -> String {
    let program = stem(Path::new(cmdline.first().map_or(executable, String::as_str)));
    // A program with an interpreter in it has arguments of its own.
    if !program.starts_with("python") {
        return program;
    }
    let mut arguments = cmdline.iter().skip(1);
    while let Some(argument) = arguments.next() {
        if argument == "-m" {
            return arguments.next().cloned().unwrap_or_default();
        }
        if let Some(module) = argument.strip_prefix("-m") {
            return module.to_owned();
        }
        if argument == "-c" || argument == "-" {
            break;
        }
        if WITH_VALUE.contains(&argument.as_str()) {
            arguments.next();
        } else if !argument.starts_with('-') {
            return script(Path::new(argument));
        }
    }
    program
}

fn script(path: &Path) -> String {
    let stem = stem(path);
    if stem != "__main__" {
        return stem;
    }
    path.parent().map(self::stem).filter(|name| !name.is_empty()).unwrap_or(stem)
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Exercise the ways in which Python programs are started.
    #[test]
    fn the_module_or_the_script_names_the_service() {
        for (line, service) in [
            ("python3 -m uvicorn app:app", "uvicorn"),
            ("python3 -muvicorn app:app", "uvicorn"),
            ("python3 -X dev -W ignore -u -m celery.bin worker", "celery.bin"),
            ("python /srv/worker.py --fast", "worker"),
            ("/venv/bin/python3.12 /venv/bin/gunicorn app:app", "gunicorn"),
            ("python /srv/shop/__main__.py", "shop"),
            ("python __main__.py", "__main__"),
            ("/usr/bin/python3.11 -c print(1)", "python3"),
            ("python3 -", "python3"),
            ("/opt/uwsgi/uwsgi --http :80", "uwsgi"),
            ("python3", "python3"),
            ("python3 -m", ""),
        ] {
            let cmdline: Vec<String> = line.split(' ').map(str::to_owned).collect();
            assert_eq!(by_command(&cmdline, "/usr/bin/python3"), service, "{line}");
        }
        assert_eq!(by_command(&[], "/usr/bin/python3"), "python3");
    }

    fn facts(line: &str, cgroup: &str) -> Facts {
        Facts {
            pid: 1,
            start_time: 0.0,
            executable: "/usr/bin/python3".into(),
            cmdline: line.split(' ').map(str::to_owned).collect(),
            directory: None,
            cgroup: cgroup.into(),
        }
    }

    /// Exercise the order of rule, unit and script.
    #[test]
    fn the_first_rule_comes_before_the_unit_and_the_unit_before_the_script() {
        let rules = ["shop=gunicorn .*shop", "web=gunicorn"].map(|rule| rule.parse().unwrap());
        let names = ServiceNames::new(rules.into());
        for (line, cgroup, service) in [
            ("python gunicorn -w 2 shop:app", "/system.slice/a.service", "shop"),
            ("python gunicorn other:app", "", "web"),
            ("python worker.py", "/system.slice/queue.service", "queue"),
            ("python worker.py", "/system.slice/shop@2.service/payload", "shop@2"),
            ("python worker.py", "/user.slice/user@1000.service/app.slice/t.scope", "worker"),
            ("python worker.py", "/user@1000.service/app.slice/own.service", "own"),
            ("python worker.py", "/system.slice/docker-1234.scope", "worker"),
        ] {
            assert_eq!(names.of(&facts(line, cgroup)), service, "{line} {cgroup}");
        }
    }

    #[test]
    fn bad_rules_are_refused() {
        for bad in ["shop", "=x", "shop=("] {
            assert!(bad.parse::<ServiceRule>().is_err(), "{bad}");
        }
    }
}
