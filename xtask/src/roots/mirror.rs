//! The Debian mirror that this machine already uses, from apt's own configuration.
//!
//! Both forms of it are read: one line per source (`*.list`) and stanzas (`*.sources`), as
//! described in sources.list(5).

use std::fs;
use std::path::Path;

/// The mirror of the machine's own Debian release; `None` where apt is not configured with
/// one, as on other distributions.
pub(crate) fn configured(codename: &str) -> Option<String> {
    let mut files = vec![Path::new("/etc/apt/sources.list").to_path_buf()];
    let parts = fs::read_dir("/etc/apt/sources.list.d").into_iter().flatten().flatten();
    files.extend(parts.map(|entry| entry.path()));
    files.sort();
    files.iter().find_map(|file| {
        let text = fs::read_to_string(file).ok()?;
        let uri = match file.extension()?.to_str()? {
            "list" => from_lines(&text, codename),
            "sources" => from_stanzas(&text, codename),
            _ => None,
        }?;
        resolve(uri)
    })
}

/// `deb [options] URI SUITE COMPONENT…`
fn from_lines(text: &str, codename: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let line = line.split('#').next()?.trim().strip_prefix("deb ")?;
        let line = match line.trim_start().strip_prefix('[') {
            Some(options) => options.split_once(']')?.1,
            None => line,
        };
        let mut words = line.split_whitespace();
        let uri = words.next()?;
        is_release(words.next()?, codename).then(|| uri.to_owned())
    })
}

/// `Types:`, `URIs:`, `Suites:` fields, stanzas parted by empty lines.
fn from_stanzas(text: &str, codename: &str) -> Option<String> {
    text.split("\n\n").find_map(|stanza| {
        let field = |name: &str| {
            stanza.lines().find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(':')?.trim()))
        };
        let offers = |suites: &str| suites.split(' ').any(|suite| is_release(suite, codename));
        let binary = field("Types")?.split(' ').any(|kind| kind == "deb");
        let enabled = field("Enabled").is_none_or(|value| value != "no");
        let uri = field("URIs")?.split_whitespace().next()?;
        (binary && enabled && offers(field("Suites")?)).then(|| uri.to_owned())
    })
}

/// Whether the suite is the release itself. Security and backports archives have suites of
/// their own and do not hold other releases.
fn is_release(suite: &str, codename: &str) -> bool {
    let aliases = ["stable", "testing", "unstable", "sid"];
    suite == codename || aliases.contains(&suite)
}

/// Cloud images name a file that lists mirrors; its first is taken.
fn resolve(uri: String) -> Option<String> {
    let Some(list) = uri.strip_prefix("mirror+file:") else { return Some(uri) };
    let text = fs::read_to_string(list).ok()?;
    let first = text.lines().find(|line| !line.starts_with('#') && !line.trim().is_empty())?;
    Some(first.split_whitespace().next()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_sources_are_read_past_options_and_comments() {
        let text = "# deb http://old.example/debian bookworm main\n\
            deb-src http://source.example/debian bookworm main\n\
            deb http://security.example/debian-security bookworm-security main\n\
            deb [arch=amd64 signed-by=/k.gpg] http://mirror.example/debian bookworm main # own\n";
        assert_eq!(from_lines(text, "bookworm").as_deref(), Some("http://mirror.example/debian"));
        assert_eq!(from_lines(text, "trixie"), None);
    }

    #[test]
    fn stanzas_are_read_past_other_archives() {
        let text = "Types: deb\nURIs: http://security.example/debian-security\n\
            Suites: bookworm-security\nComponents: main\n\n\
            Types: deb\nEnabled: no\nURIs: http://off.example/debian\nSuites: bookworm\n\n\
            Types: deb deb-src\n# a comment\nURIs: http://mirror.example/debian\n\
            Suites: bookworm bookworm-updates\nComponents: main\n";
        assert_eq!(from_stanzas(text, "bookworm").as_deref(), Some("http://mirror.example/debian"));
        assert_eq!(from_stanzas(text, "noble"), None);
    }

    #[test]
    fn a_list_of_mirrors_gives_its_first() {
        let list = std::env::temp_dir().join(format!("mirrors-{}", std::process::id()));
        fs::write(&list, "# mirrors\nhttp://first.example/debian\tpriority:1\nhttp://b/\n")
            .unwrap();
        let found = resolve(format!("mirror+file:{}", list.display()));
        fs::remove_file(&list).unwrap();
        assert_eq!(found.as_deref(), Some("http://first.example/debian"));
    }
}
