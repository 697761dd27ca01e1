//! One panel of Grafana's classic model. A panel cannot be made without title, description and unit.

use serde_json::{Map, Value, json};

/// Matchers of what an agent says of itself.
const AGENT: &str = r#"job=~"$job", instance=~"$instance""#;
/// Matchers of what an agent says of a process.
const PROCESS: &str = r#"job=~"$job", instance=~"$instance", service=~"$service", pid=~"$pid""#;

/// Grafana's grid has so many columns.
pub(super) const COLUMNS: u64 = 24;

/// The colour of each severity, worst first.
pub(super) const SEVERITIES: [(&str, &str); 4] =
    [("critical", "red"), ("high", "orange"), ("medium", "yellow"), ("low", "blue")];

/// How a panel draws.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Stat,
    Series,
    Bars,
    Table,
}

/// A panel without its place.
pub(super) struct Panel {
    kind: Kind,
    title: &'static str,
    description: &'static str,
    unit: &'static str,
    width: u64,
    queries: Vec<(String, String)>,
    stacked: bool,
    signed: bool,
    logarithmic: bool,
    defaults: Map<String, Value>,
    overrides: Vec<Value>,
    transformations: Vec<Value>,
    options: Map<String, Value>,
}

impl Panel {
    /// One number, now, over its recent past.
    pub(super) fn stat(title: &'static str, unit: &'static str, description: &'static str) -> Self {
        Self::new(Kind::Stat, title, unit, description, 4)
    }

    /// Lines over time.
    pub(super) fn series(
        title: &'static str,
        unit: &'static str,
        description: &'static str,
    ) -> Self {
        Self::new(Kind::Series, title, unit, description, 8)
    }

    /// A bar for each of a few values, now.
    pub(super) fn bars(title: &'static str, unit: &'static str, description: &'static str) -> Self {
        Self::new(Kind::Bars, title, unit, description, 8)
    }

    /// Rows and columns, now.
    pub(super) fn table(
        title: &'static str,
        unit: &'static str,
        description: &'static str,
    ) -> Self {
        Self::new(Kind::Table, title, unit, description, COLUMNS)
    }

    fn new(
        kind: Kind,
        title: &'static str,
        unit: &'static str,
        description: &'static str,
        width: u64,
    ) -> Self {
        Self {
            kind,
            title,
            description,
            unit,
            width,
            queries: Vec::new(),
            stacked: false,
            signed: false,
            logarithmic: false,
            defaults: Map::new(),
            overrides: Vec::new(),
            transformations: Vec::new(),
            options: Map::new(),
        }
    }

    /// Adds a query. In `expression`, `$agent` and `$process` stand for the matchers of the
    /// variables, and `[$]` for the window of a rate.
    pub(super) fn query(mut self, expression: &str, legend: &str) -> Self {
        let expression = expression
            .replace("$agent", AGENT)
            .replace("$process", PROCESS)
            .replace("[$]", "[$__rate_interval]");
        self.queries.push((expression, legend.to_owned()));
        self
    }

    /// Columns of the grid that it takes.
    pub(super) fn wide(mut self, columns: u64) -> Self {
        self.width = columns;
        self
    }

    /// Shows the legend beside the number, though there be only one.
    pub(super) fn named(mut self) -> Self {
        self.options.insert("textMode".into(), json!("value_and_name"));
        self
    }

    /// Lays the series on each other: their sum means something.
    pub(super) fn stacked(mut self) -> Self {
        self.stacked = true;
        self
    }

    /// Values below zero mean something.
    pub(super) fn signed(mut self) -> Self {
        self.signed = true;
        self
    }

    /// Seconds and weeks on one scale.
    pub(super) fn logarithmic(mut self) -> Self {
        self.logarithmic = true;
        self.defaults.insert("decimals".into(), json!(0));
        self
    }

    /// Orange from `warning` on and red from `critical` on.
    pub(super) fn thresholds(mut self, warning: f64, critical: f64) -> Self {
        let steps = json!([
            {"color": "green", "value": null},
            {"color": "orange", "value": warning},
            {"color": "red", "value": critical},
        ]);
        self.defaults.insert("thresholds".into(), json!({"mode": "absolute", "steps": steps}));
        self.defaults.insert("color".into(), json!({"mode": "thresholds"}));
        self
    }

    /// What stands in for a number that there is none of, which is good news.
    pub(super) fn when_empty(mut self, text: &str) -> Self {
        self.defaults.insert("noValue".into(), json!(text));
        self
    }

    /// The scale ends here: a share's is 1.
    pub(super) fn max(mut self, max: f64) -> Self {
        self.defaults.insert("max".into(), json!(max));
        self
    }

    /// Gives each of these series the same colour on every panel.
    pub(super) fn colors(self, colors: &[(&str, &str)]) -> Self {
        colors.iter().fold(self, |panel, (name, color)| {
            panel.column(name, &[("color", json!({"mode": "fixed", "fixedColor": color}))])
        })
    }

    /// Sets properties of one column or series.
    pub(super) fn column(mut self, name: &str, properties: &[(&str, Value)]) -> Self {
        let properties: Vec<Value> =
            properties.iter().map(|(id, value)| json!({"id": id, "value": value})).collect();
        let matcher = json!({"id": "byName", "options": name});
        self.overrides.push(json!({"matcher": matcher, "properties": properties}));
        self
    }

    /// Joins the queries' tables by the labels that they share, shows these columns in this order
    /// and hides those.
    pub(super) fn columns(mut self, shown: &[&str], hidden: &[&str]) -> Self {
        let all = |names: &[&str], value: fn(usize) -> Value| -> Map<String, Value> {
            names.iter().enumerate().map(|(at, name)| ((*name).to_owned(), value(at))).collect()
        };
        if self.queries.len() > 1 {
            self.transformations.push(json!({"id": "merge", "options": {}}));
        }
        self.transformations.push(json!({"id": "organize", "options": {
            "excludeByName": all(hidden, |_| json!(true)),
            "indexByName": all(shown, |at| json!(at)),
            "renameByName": {},
        }}));
        self
    }

    /// Sorts a table by a column.
    pub(super) fn sorted(mut self, column: &str, descending: bool) -> Self {
        self.options.insert("sortBy".into(), json!([{"desc": descending, "displayName": column}]));
        self
    }

    pub(super) fn width(&self) -> u64 {
        self.width
    }

    pub(super) fn height(&self) -> u64 {
        match self.kind {
            Kind::Stat => 4,
            Kind::Series | Kind::Bars => 8,
            Kind::Table => 10,
        }
    }

    /// The panel at its place.
    pub(super) fn json(&self, id: u64, x: u64, y: u64) -> Value {
        let mut panel = json!({
            "id": id,
            "type": self.type_name(),
            "title": self.title,
            "description": self.description,
            "datasource": datasource(),
            "gridPos": {"x": x, "y": y, "w": self.width, "h": self.height()},
            "fieldConfig": {"defaults": self.field_defaults(), "overrides": self.overrides},
            "options": self.all_options(),
            "targets": self.targets(),
        });
        if !self.transformations.is_empty() {
            panel["transformations"] = json!(self.transformations);
        }
        panel
    }

    fn type_name(&self) -> &'static str {
        match self.kind {
            Kind::Stat => "stat",
            Kind::Series => "timeseries",
            Kind::Bars => "bargauge",
            Kind::Table => "table",
        }
    }

    fn field_defaults(&self) -> Value {
        let mut defaults = self.defaults.clone();
        defaults.insert("unit".into(), json!(self.unit));
        // Without these Grafana colours by limits of its own.
        let plain = json!({"mode": "absolute", "steps": [{"color": "green", "value": null}]});
        defaults.entry("thresholds").or_insert(plain);
        match self.kind {
            Kind::Series => {
                if !self.signed && !self.logarithmic {
                    defaults.insert("min".into(), json!(0));
                }
                defaults.insert("color".into(), json!({"mode": "palette-classic"}));
                defaults.insert("custom".into(), self.line_style());
            }
            Kind::Bars => {
                defaults.insert("min".into(), json!(0));
                defaults.insert("color".into(), json!({"mode": "fixed", "fixedColor": "orange"}));
            }
            Kind::Stat => {
                defaults.insert("min".into(), json!(0));
                let plain = json!({"mode": "fixed", "fixedColor": "text"});
                defaults.entry("color").or_insert(plain);
            }
            Kind::Table => {}
        }
        Value::Object(defaults)
    }

    fn line_style(&self) -> Value {
        let (fill, mode) = if self.stacked { (40, "normal") } else { (8, "none") };
        let scale = match self.logarithmic {
            true => json!({"type": "log", "log": 10}),
            false => json!({"type": "linear"}),
        };
        let mut style = json!({
            "drawStyle": "line",
            "lineWidth": 1,
            "fillOpacity": fill,
            "scaleDistribution": scale,
            "showPoints": "never",
            "spanNulls": false,
            "stacking": {"mode": mode, "group": "A"},
        });
        // So that nothing but zeros is not drawn on a scale to a hundred.
        match self.unit {
            "percentunit" => style["axisSoftMax"] = json!(0.01),
            "short" | "cps" => style["axisSoftMax"] = json!(1),
            _ => {}
        }
        style
    }

    fn all_options(&self) -> Value {
        let reduce = json!({"calcs": ["lastNotNull"], "fields": "", "values": false});
        let mut options = match self.kind {
            Kind::Stat => json!({
                "colorMode": "value", "graphMode": "area", "justifyMode": "auto",
                "orientation": "auto", "percentChangeColorMode": "standard", "textMode": "auto",
                "showPercentChange": false, "wideLayout": true, "reduceOptions": reduce,
            }),
            Kind::Series => json!({
                "legend": {
                    "calcs": [], "displayMode": "list", "placement": "bottom", "showLegend": true,
                },
                "tooltip": {"mode": "multi", "sort": "desc"},
            }),
            Kind::Bars => json!({
                "displayMode": "gradient", "legend": {
                    "calcs": [], "displayMode": "list", "placement": "bottom", "showLegend": false,
                },
                "maxVizHeight": 300, "minVizHeight": 16, "minVizWidth": 8, "namePlacement": "auto",
                "orientation": "horizontal", "reduceOptions": reduce, "showUnfilled": true,
                "sizing": "auto", "valueMode": "color",
            }),
            Kind::Table => json!({"cellHeight": "sm", "frameIndex": 0, "showHeader": true}),
        };
        if let Some(all) = options.as_object_mut() {
            all.extend(self.options.clone());
        }
        options
    }

    fn targets(&self) -> Vec<Value> {
        let refs = 'A'..='Z';
        let targets = refs.zip(&self.queries).map(|(name, (expression, legend))| {
            let now = matches!(self.kind, Kind::Bars | Kind::Table);
            json!({
                "refId": name.to_string(),
                "datasource": datasource(),
                "editorMode": "code",
                "expr": expression,
                "legendFormat": legend,
                "instant": now,
                "range": !now,
                "format": if self.kind == Kind::Table { "table" } else { "time_series" },
            })
        });
        targets.collect()
    }
}

/// The data source that the variable names.
pub(super) fn datasource() -> Value {
    json!({"type": "prometheus", "uid": "${datasource}"})
}
