//! The two texts that Prometheus reads. The client library writes OpenMetrics 1.0 only; the classic
//! format, which `promtool` and older servers read, is made from it.

use std::collections::HashMap;
use std::fmt;

use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const CLASSIC: &str = "text/plain; version=0.0.4; charset=utf-8";

/// One scrape, in both formats.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exposition {
    /// OpenMetrics 1.0.
    pub openmetrics: String,
    /// The classic text format, 0.0.4.
    pub classic: String,
}

impl Exposition {
    pub(super) fn encode(registry: &Registry) -> Result<Self, fmt::Error> {
        let mut openmetrics = String::new();
        encode(&mut openmetrics, registry)?;
        let classic = classic(&openmetrics);
        Ok(Self { openmetrics, classic })
    }

    /// The media type and the text for a request's `Accept`. OpenMetrics for who asks for it at least
    /// as much as for plain text; the classic format for everybody else.
    pub fn negotiate(&self, accept: Option<&str>) -> (&'static str, &str) {
        let accept = accept.unwrap_or_default();
        let openmetrics = quality(accept, &["application/openmetrics-text"]);
        let classic = quality(accept, &["text/plain", "text/*", "*/*"]);
        if openmetrics > 0.0 && openmetrics >= classic {
            (OPENMETRICS, &self.openmetrics)
        } else {
            (CLASSIC, &self.classic)
        }
    }
}

/// How much a client wants one of these media types: the highest `q`; 0 when none is named.
fn quality(accept: &str, types: &[&str]) -> f64 {
    let mut best = 0.0;
    for range in accept.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let named = parts.next().unwrap_or_default();
        if !types.iter().any(|one| named.eq_ignore_ascii_case(one)) {
            continue;
        }
        let stated = parts.find_map(|part| {
            let (name, value) = part.split_once('=')?;
            name.trim().eq_ignore_ascii_case("q").then(|| value.trim().parse().unwrap_or(0.0))
        });
        best = f64::max(best, stated.unwrap_or(1.0));
    }
    best
}

/// OpenMetrics as classic text: names of counters carry `_total` in their comments too, an info is a
/// gauge, and there is neither a unit nor an end mark.
fn classic(openmetrics: &str) -> String {
    let mut types = HashMap::new();
    for line in openmetrics.lines() {
        if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|l| l.split_once(' ')) {
            types.insert(name, kind);
        }
    }
    let mut text = String::with_capacity(openmetrics.len());
    for line in openmetrics.lines() {
        let Some(comment) = line.strip_prefix("# ") else {
            text.push_str(line);
            text.push('\n');
            continue;
        };
        let mut words = comment.splitn(3, ' ');
        let (Some(what), Some(name)) = (words.next(), words.next()) else { continue };
        let rest = words.next().unwrap_or_default();
        let (suffix, kind) = match types.get(name) {
            Some(&"counter") => ("_total", "counter"),
            Some(&"info") => ("_info", "gauge"),
            Some(kind) => ("", *kind),
            None => continue,
        };
        let rest = match what {
            "HELP" => rest,
            "TYPE" => kind,
            _ => continue,
        };
        text.push_str(&format!("# {what} {name}{suffix} {rest}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Exercise what Prometheus, curl and a browser send.
    #[test]
    fn the_format_follows_accept() {
        let both = Exposition { openmetrics: "om".to_owned(), classic: "classic".to_owned() };
        for (accept, expected) in [
            (None, "classic"),
            (Some("*/*"), "classic"),
            (Some(""), "classic"),
            (Some("text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"), "classic"),
            (
                Some(
                    "application/openmetrics-text;version=1.0.0,\
                     application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                ),
                "om",
            ),
            (Some("application/openmetrics-text;q=0.3, text/plain"), "classic"),
            (Some("application/openmetrics-text;q=0"), "classic"),
            (Some("Application/OpenMetrics-Text ; Q=0.9"), "om"),
            (Some(";;;,,,q=1;"), "classic"),
        ] {
            assert_eq!(both.negotiate(accept).1, expected, "{accept:?}");
        }
    }

    /// Exercise each kind of comment.
    #[test]
    fn classic_text_is_made_from_openmetrics() {
        let openmetrics = "# HELP a_seconds Time.\n# TYPE a_seconds counter\n# UNIT a_seconds seconds\n\
                           a_seconds_total{x=\"# HELP\"} 1.0\n# HELP b Version.\n# TYPE b info\n\
                           b_info{v=\"1\"} 1\n# HELP c Size.\n# TYPE c gauge\nc 2.0\n# EOF\n";
        let expected = "# HELP a_seconds_total Time.\n# TYPE a_seconds_total counter\n\
                        a_seconds_total{x=\"# HELP\"} 1.0\n# HELP b_info Version.\n\
                        # TYPE b_info gauge\nb_info{v=\"1\"} 1\n# HELP c Size.\n# TYPE c gauge\nc 2.0\n";
        assert_eq!(classic(openmetrics), expected);
    }
}
