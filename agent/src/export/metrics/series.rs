//! The series of one metric. The library's own family keeps them in a hash map, whose order differs
//! from scrape to scrape; sorted series compress better and can be compared.

use std::collections::BTreeMap;
use std::fmt;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

/// Names and values of the labels of one series.
pub(super) type Labels = Vec<(&'static str, String)>;

/// Values by labels; equal labels are added up.
#[derive(Debug, Default)]
pub(super) struct Series(BTreeMap<Labels, f64>);

impl Series {
    /// The one series of a metric without labels.
    pub(super) fn one(value: f64) -> Self {
        Self(BTreeMap::from([(Labels::new(), value)]))
    }

    /// A series for each value of one label.
    pub(super) fn counts<const N: usize>(
        label: &'static str,
        counts: [(&'static str, u64); N],
    ) -> Self {
        let series = counts.map(|(value, count)| (vec![(label, value.to_owned())], count as f64));
        Self(BTreeMap::from(series))
    }

    pub(super) fn add(&mut self, labels: Labels, value: f64) {
        *self.0.entry(labels).or_default() += value;
    }

    pub(super) fn gauge(self, registry: &mut Registry, name: &str, help: &str) {
        registry.register(name, help, Metric { series: self, kind: MetricType::Gauge });
    }

    /// The unit becomes the end of the name.
    pub(super) fn gauge_in(self, registry: &mut Registry, name: &str, help: &str, unit: Unit) {
        let metric = Metric { series: self, kind: MetricType::Gauge };
        registry.register_with_unit(name, help, unit, metric);
    }

    /// `_total` becomes the end of the name.
    pub(super) fn counter(self, registry: &mut Registry, name: &str, help: &str) {
        registry.register(name, help, Metric { series: self, kind: MetricType::Counter });
    }

    /// The unit and `_total` become the end of the name.
    pub(super) fn counter_in(self, registry: &mut Registry, name: &str, help: &str, unit: Unit) {
        let metric = Metric { series: self, kind: MetricType::Counter };
        registry.register_with_unit(name, help, unit, metric);
    }
}

#[derive(Debug)]
struct Metric {
    series: Series,
    kind: MetricType,
}

impl Metric {
    fn encode_one(&self, encoder: &mut MetricEncoder<'_>, value: f64) -> fmt::Result {
        match self.kind {
            MetricType::Counter => encoder.encode_counter::<NoLabelSet, _, f64>(&value, None),
            _ => encoder.encode_gauge(&value),
        }
    }
}

impl EncodeMetric for Metric {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        for (labels, value) in &self.series.0 {
            if labels.is_empty() {
                self.encode_one(&mut encoder, *value)?;
            } else {
                self.encode_one(&mut encoder.encode_family(labels)?, *value)?;
            }
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        self.kind
    }

    fn is_empty(&self) -> bool {
        self.series.0.is_empty()
    }
}
