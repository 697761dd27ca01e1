//! What every dashboard has to have, whoever wrote its JSON.

use serde_json::Value;

/// Variables that each dashboard offers.
const VARIABLES: [&str; 5] = ["datasource", "job", "instance", "service", "pid"];

/// Functions over a range that has to follow the scrape interval.
const RATES: [&str; 3] = ["rate(", "irate(", "increase("];

/// What is missing or wrong, a sentence each.
pub(super) fn faults(dashboard: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    for name in VARIABLES {
        let list = dashboard["templating"]["list"].as_array();
        if !list.is_some_and(|list| list.iter().any(|variable| variable["name"] == name)) {
            faults.push(format!("no variable ${name}"));
        }
    }
    for key in ["uid", "title", "description"] {
        if is_blank(&dashboard[key]) {
            faults.push(format!("no {key}"));
        }
    }
    let panels: Vec<&Value> = dashboard["panels"].as_array().into_iter().flatten().collect();
    for (at, panel) in panels.iter().enumerate() {
        let name = panel["title"].as_str().unwrap_or_default();
        for fault in panel_faults(panel) {
            faults.push(format!("panel {} {name:?}: {fault}", panel["id"]));
        }
        if panels[..at].iter().any(|other| other["id"] == panel["id"]) {
            faults.push(format!("panel {} {name:?}: its id is taken", panel["id"]));
        }
        if panels[..at].iter().any(|other| overlap(&other["gridPos"], &panel["gridPos"])) {
            faults.push(format!("panel {} {name:?}: lies on another one", panel["id"]));
        }
    }
    faults
}

fn panel_faults(panel: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    if is_blank(&panel["title"]) {
        faults.push("no title".to_owned());
    }
    if panel["type"] == "row" {
        return faults;
    }
    if is_blank(&panel["description"]) {
        faults.push("no description".to_owned());
    }
    if is_blank(&panel["fieldConfig"]["defaults"]["unit"]) {
        faults.push("no unit".to_owned());
    }
    let targets: Vec<&Value> = panel["targets"].as_array().into_iter().flatten().collect();
    if targets.is_empty() {
        faults.push("no query".to_owned());
    }
    for of in targets.iter().copied().chain([panel]) {
        if of["datasource"]["uid"] != "${datasource}" {
            faults.push("its data source is not the variable's".to_owned());
        }
    }
    for target in targets {
        let expression = target["expr"].as_str().unwrap_or_default();
        if !expression.contains("=~\"$instance") {
            faults.push(format!("does not follow $instance: {expression}"));
        }
        for rate in RATES {
            let ranges = expression.match_indices(rate).map(|(at, _)| &expression[at..]);
            for rest in ranges {
                let range = rest.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
                if range.map(|(range, _)| range) != Some("$__rate_interval") {
                    faults.push(format!("a rate not over $__rate_interval: {expression}"));
                }
            }
        }
    }
    faults
}

fn is_blank(value: &Value) -> bool {
    value.as_str().is_none_or(|text| text.trim().is_empty())
}

fn overlap(one: &Value, other: &Value) -> bool {
    let side = |place: &Value, start: &str, length: &str| {
        let at = place[start].as_u64().unwrap_or(0);
        (at, at + place[length].as_u64().unwrap_or(0))
    };
    let crosses = |one: (u64, u64), other: (u64, u64)| one.0 < other.1 && other.0 < one.1;
    crosses(side(one, "x", "w"), side(other, "x", "w"))
        && crosses(side(one, "y", "h"), side(other, "y", "h"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::dashboards::all;

    #[test]
    fn the_dashboards_are_as_they_have_to_be() {
        for dashboard in all() {
            assert_eq!(faults(&dashboard.json()), Vec::<String>::new());
        }
    }

    /// Exercise each rule by breaking what it looks at.
    #[test]
    fn what_is_missing_is_told() {
        let breaks: [(&str, Value, &str); 8] = [
            ("/templating/list/1/name", json!("other"), "no variable $job"),
            ("/description", json!(" "), "no description"),
            ("/panels/1/title", json!(""), "no title"),
            ("/panels/1/description", Value::Null, "no description"),
            ("/panels/1/fieldConfig/defaults/unit", json!(""), "no unit"),
            ("/panels/1/targets/0/datasource/uid", json!("abc"), "data source is not"),
            ("/panels/1/targets/0/expr", json!("up"), "does not follow $instance"),
            (
                "/panels/1/targets/0/expr",
                json!(r#"rate(x{instance=~"$instance"}[5m])"#),
                "not over $__rate_interval",
            ),
        ];
        for (place, value, told) in breaks {
            let mut dashboard = all()[0].json();
            *dashboard.pointer_mut(place).unwrap() = value;
            let found = faults(&dashboard);
            assert!(found.iter().any(|fault| fault.contains(told)), "{place}: {found:?}");
        }
        let mut dashboard = all()[0].json();
        dashboard["panels"][2]["gridPos"]["x"] = json!(0);
        dashboard["panels"][2]["id"] = json!(2);
        let found = faults(&dashboard).join("\n");
        assert!(found.contains("lies on another one") && found.contains("id is taken"), "{found}");
    }
}
