//! The two texts that Prometheus reads. The client library writes OpenMetrics 1.0 only; the classic
//! format, which `promtool` and older servers read, is made from it.

use std::collections::HashMap;
use std::fmt;

use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

use super::exemplars::Exemplars;

/// One scrape, in both formats.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exposition {
    /// OpenMetrics 1.0.
    pub openmetrics: String,
    /// The classic text format, 0.0.4.
    pub classic: String,
}

impl Exposition {
    pub(super) fn encode(registry: &Registry, exemplars: &Exemplars) -> Result<Self, fmt::Error> {
        let mut openmetrics = String::new();
        encode(&mut openmetrics, registry)?;
        let classic = classic(&openmetrics);
        Ok(Self { openmetrics: exemplars.annotate(&openmetrics), classic })
    }
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
