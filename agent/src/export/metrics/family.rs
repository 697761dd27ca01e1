//! Families of metrics, their samples, and the scrape that they are gathered in.
//!
//! A family states its labels once, and samples give values in that order: so the reference
//! (`docs/metrics.md`) and what is served cannot differ. Samples are sorted, which the library's own
//! family is not: sorted text compresses better and can be compared.

use std::collections::BTreeMap;
use std::fmt;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

use super::alive::Labels;
use super::continuity::Continuity;
use super::exemplars::Exemplars;
use super::histogram::Histogram;

/// What all names begin with.
const PREFIX: &str = "pitviper";

/// The labels of what belongs to one process.
pub(super) const PROCESS: &[&str] = &["pid", "service"];

/// A metric before it has samples.
#[derive(Debug, Clone)]
pub(super) struct Family {
    name: &'static str,
    help: &'static str,
    unit: Option<Unit>,
    labels: &'static [&'static str],
}

impl Family {
    /// `help` has no full stop: the encoder adds one.
    pub(super) fn new(name: &'static str, help: &'static str) -> Self {
        Self { name, help, unit: None, labels: &[] }
    }

    pub(super) fn of(self, labels: &'static [&'static str]) -> Self {
        Self { labels, ..self }
    }

    /// The unit becomes the end of the name.
    pub(super) fn unit(mut self, unit: Unit) -> Self {
        self.unit = Some(unit);
        self
    }
}

/// Values by labels; what is added to equal labels is summed.
#[derive(Debug, Clone, Default)]
pub(super) struct Series(BTreeMap<Labels, f64>);

impl Series {
    /// The one series of a metric without labels.
    pub(super) fn one(value: f64) -> Self {
        Self(BTreeMap::from([(Vec::new().into(), value)]))
    }

    /// A series for each value of one label.
    pub(super) fn counts<const N: usize>(counts: [(&str, u64); N]) -> Self {
        Self(BTreeMap::from(
            counts.map(|(value, count)| (vec![value.to_owned()].into(), count as f64)),
        ))
    }

    /// The value, where it is known.
    pub(super) fn known(value: Option<f64>) -> Self {
        value.map(Self::one).unwrap_or_default()
    }

    pub(super) fn add(&mut self, labels: impl Into<Labels>, value: f64) {
        *self.0.entry(labels.into()).or_default() += value;
    }

    /// Those that are so, and the rest.
    pub(super) fn partition(self, is: impl Fn(&Labels) -> bool) -> (Self, Self) {
        let (those, rest) = self.0.into_iter().partition(|(labels, _)| is(labels));
        (Self(those), Self(rest))
    }

    /// Adds what has been counted elsewhere.
    pub(super) fn extend(&mut self, other: Self) {
        for (labels, value) in other.0 {
            self.add(labels.retired(), value);
        }
    }
}

/// Histograms by labels.
#[derive(Debug, Clone, Default)]
pub(super) struct Histograms(BTreeMap<Labels, Histogram>);

impl Histograms {
    pub(super) fn entry(&mut self, labels: Labels) -> &mut Histogram {
        self.0.entry(labels).or_default()
    }

    /// Those that are so, and the rest.
    pub(super) fn partition(self, is: impl Fn(&Labels) -> bool) -> (Self, Self) {
        let (those, rest) = self.0.into_iter().partition(|(labels, _)| is(labels));
        (Self(those), Self(rest))
    }

    /// Adds what has been counted elsewhere.
    pub(super) fn extend(&mut self, other: Self) {
        for (labels, histogram) in other.0 {
            self.entry(labels.retired()).extend(&histogram);
        }
    }
}

/// One line of the reference.
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) kind: &'static str,
    pub(super) unit: String,
    pub(super) labels: &'static [&'static str],
    pub(super) help: &'static str,
}

/// What is scraped at once.
pub(super) struct Scrape<'a> {
    pub(super) registry: Registry,
    pub(super) entries: Vec<Entry>,
    pub(super) continuity: &'a mut Continuity,
    pub(super) exemplars: Exemplars,
}

impl<'a> Scrape<'a> {
    pub(super) fn new(continuity: &'a mut Continuity) -> Self {
        Self {
            registry: Registry::with_prefix(PREFIX),
            entries: Vec::new(),
            continuity,
            exemplars: Exemplars::default(),
        }
    }

    pub(super) fn gauge(&mut self, family: Family, series: Series) {
        self.add(family, Samples::Gauge(series));
    }

    /// `_total` becomes the end of the name.
    pub(super) fn counter(&mut self, family: Family, series: Series) {
        self.add(family, Samples::Counter(series));
    }

    /// `_info` becomes the end of the name; the values do not matter.
    pub(super) fn info(&mut self, family: Family, series: Series) {
        self.add(family, Samples::Info(series));
    }

    pub(super) fn histogram(&mut self, family: Family, histograms: Histograms) {
        self.add(family, Samples::Histogram(histograms));
    }

    fn add(&mut self, family: Family, samples: Samples) {
        let Family { name, help, unit, labels } = family;
        let end = unit.as_ref().map(|unit| format!("_{}", unit.as_str())).unwrap_or_default();
        let (kind, suffix) = samples.names();
        let full = format!("{PREFIX}_{name}{end}{suffix}");
        // What retires is counted, and is no more.
        let live = |series: Series| series.partition(Labels::is_retiring).1;
        let samples = match samples {
            Samples::Gauge(series) => Samples::Gauge(live(series)),
            Samples::Info(series) => Samples::Info(live(series)),
            Samples::Counter(series) => Samples::Counter(self.continuity.carry_on(&full, series)),
            Samples::Histogram(all) => {
                Samples::Histogram(self.continuity.carry_on_histograms(&full, all))
            }
        };
        self.entries.push(Entry {
            name: full,
            kind,
            unit: unit.as_ref().map(|unit| unit.as_str().to_owned()).unwrap_or_default(),
            labels,
            help,
        });
        let metric = Metric { labels, samples };
        match unit {
            Some(unit) => self.registry.register_with_unit(name, help, unit, metric),
            None => self.registry.register(name, help, metric),
        }
    }
}

#[derive(Debug)]
enum Samples {
    Gauge(Series),
    Counter(Series),
    Info(Series),
    Histogram(Histograms),
}

impl Samples {
    fn names(&self) -> (&'static str, &'static str) {
        match self {
            Self::Gauge(_) => ("gauge", ""),
            Self::Counter(_) => ("counter", "_total"),
            Self::Info(_) => ("info", "_info"),
            Self::Histogram(_) => ("histogram", ""),
        }
    }
}

#[derive(Debug)]
struct Metric {
    labels: &'static [&'static str],
    samples: Samples,
}

impl Metric {
    /// Calls `write` with an encoder that has the labels.
    fn labelled(
        &self,
        encoder: &mut MetricEncoder<'_>,
        values: &Labels,
        write: impl FnOnce(&mut MetricEncoder<'_>) -> fmt::Result,
    ) -> fmt::Result {
        if values.values().is_empty() {
            return write(encoder);
        }
        let labels: Vec<_> = self.labels.iter().copied().zip(values.values()).collect();
        write(&mut encoder.encode_family(&labels)?)
    }
}

impl EncodeMetric for Metric {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        match &self.samples {
            Samples::Gauge(series) => series.0.iter().try_for_each(|(labels, value)| {
                self.labelled(&mut encoder, labels, |one| one.encode_gauge(value))
            }),
            Samples::Counter(series) => series.0.iter().try_for_each(|(labels, value)| {
                self.labelled(&mut encoder, labels, |one| {
                    one.encode_counter::<NoLabelSet, _, f64>(value, None)
                })
            }),
            Samples::Info(series) => series.0.keys().try_for_each(|values| {
                let labels: Vec<_> = self.labels.iter().copied().zip(values.values()).collect();
                encoder.encode_info(&labels)
            }),
            Samples::Histogram(all) => all.0.iter().try_for_each(|(labels, histogram)| {
                self.labelled(&mut encoder, labels, |one| {
                    let (buckets, count) = (histogram.buckets(), histogram.count());
                    one.encode_histogram::<NoLabelSet>(histogram.seconds(), count, &buckets, None)
                })
            }),
        }
    }

    fn metric_type(&self) -> MetricType {
        match self.samples {
            Samples::Gauge(_) => MetricType::Gauge,
            Samples::Counter(_) => MetricType::Counter,
            Samples::Info(_) => MetricType::Info,
            Samples::Histogram(_) => MetricType::Histogram,
        }
    }

    fn is_empty(&self) -> bool {
        match &self.samples {
            Samples::Gauge(series) | Samples::Counter(series) | Samples::Info(series) => {
                series.0.is_empty()
            }
            Samples::Histogram(all) => all.0.is_empty(),
        }
    }
}
