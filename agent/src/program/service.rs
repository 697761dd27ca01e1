//! What a process is called when there are many: its service.
//!
//! The name of a process's program says `python3`, and its pid another number after each restart.
//! People know it by the module or the script that it runs.

use std::path::Path;

/// Options of the interpreter that take their value as the next argument.
const WITH_VALUE: [&str; 3] = ["-W", "-X", "--check-hash-based-pycs"];

/// The module or script that a command line runs, else the name of its program: `uvicorn` of
/// `python3 -X dev -m uvicorn app:app`, `worker` of `python /srv/worker.py`, `gunicorn` of
/// `python /usr/bin/gunicorn app:app`; a package's folder for its `__main__.py`.
pub(super) fn of(cmdline: &[String], executable: &str) -> String {
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
            assert_eq!(of(&cmdline, "/usr/bin/python3"), service, "{line}");
        }
        assert_eq!(of(&[], "/usr/bin/python3"), "python3");
    }
}
