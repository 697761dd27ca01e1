//! A dashboard of Grafana's classic model: variables, links, and rows of panels that flow into the
//! grid.

use serde_json::{Value, json};

use super::panel::{COLUMNS, Panel, datasource};

/// Dashboards with this tag link each other.
const TAG: &str = "pitviper";

/// The version of the model that Grafana 11 writes; newer ones migrate it.
const SCHEMA_VERSION: u64 = 39;

/// A heading with panels below it.
pub(super) struct Row {
    pub(super) title: &'static str,
    pub(super) panels: Vec<Panel>,
}

/// A dashboard, and the file that it is kept in.
pub(super) struct Dashboard {
    /// The file's name without its ending, and the end of its uid.
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    pub(super) description: &'static str,
    pub(super) rows: Vec<Row>,
}

impl Dashboard {
    pub(super) fn json(&self) -> Value {
        json!({
            "uid": format!("pitviper-{}", self.name),
            "title": self.title,
            "description": self.description,
            "tags": [TAG],
            "editable": true,
            "graphTooltip": 1,
            "schemaVersion": SCHEMA_VERSION,
            "time": {"from": "now-1h", "to": "now"},
            "refresh": "30s",
            "timezone": "browser",
            "annotations": {"list": []},
            "links": [links()],
            "templating": {"list": variables()},
            "panels": self.panels(),
        })
    }

    fn panels(&self) -> Vec<Value> {
        let mut panels = Vec::new();
        let mut y = 0;
        let mut id = 1;
        for row in &self.rows {
            panels.push(json!({
                "id": id,
                "type": "row",
                "title": row.title,
                "collapsed": false,
                "gridPos": {"x": 0, "y": y, "w": COLUMNS, "h": 1},
                "panels": [],
            }));
            id += 1;
            y += 1;
            let (mut x, mut height) = (0, 0);
            for panel in &row.panels {
                if x + panel.width() > COLUMNS {
                    y += height;
                    (x, height) = (0, 0);
                }
                panels.push(panel.json(id, x, y));
                id += 1;
                x += panel.width();
                height = height.max(panel.height());
            }
            y += height;
        }
        panels
    }
}

fn links() -> Value {
    json!({
        "type": "dashboards", "title": "pitviper", "tags": [TAG], "tooltip": "", "icon": "external link",
        "asDropdown": false, "includeVars": true, "keepTime": true, "targetBlank": false,
    })
}

/// Each narrows what the next ones offer.
fn variables() -> Vec<Value> {
    let source = json!({
        "type": "datasource", "name": "datasource", "label": "Data source", "query": "prometheus",
        "multi": false, "includeAll": false, "refresh": 1, "regex": "",
        "hide": 0, "skipUrlSync": false,
    });
    let mut list = vec![source];
    let open = "pitviper_descriptors_open";
    for (name, label, metric, matchers, every) in [
        ("job", "Job", "pitviper_build_info", "", None),
        ("instance", "Agent", "pitviper_build_info", r#"job=~"$job""#, None),
        ("service", "Service", open, r#"job=~"$job", instance=~"$instance""#, Some(".*")),
        (
            "pid",
            "Process",
            open,
            r#"job=~"$job", instance=~"$instance", service=~"$service""#,
            Some(".*"),
        ),
    ] {
        list.push(variable(name, label, metric, matchers, every));
    }
    list
}

/// `every` is the expression for "All" where its values would make one of any length.
fn variable(name: &str, label: &str, metric: &str, matchers: &str, every: Option<&str>) -> Value {
    let query = match matchers {
        "" => format!("label_values({metric}, {name})"),
        _ => format!("label_values({metric}{{{matchers}}}, {name})"),
    };
    let mut variable = json!({
        "type": "query", "name": name, "label": label, "datasource": datasource(),
        "query": {"query": query, "refId": "PrometheusVariableQueryEditor-VariableQuery"},
        "current": {"selected": true, "text": ["All"], "value": ["$__all"]},
        "options": [], "multi": true, "includeAll": true, "refresh": 2, "regex": "", "sort": 3,
        "hide": 0, "skipUrlSync": false,
    });
    if let Some(every) = every {
        variable["allValue"] = json!(every);
    }
    variable
}
