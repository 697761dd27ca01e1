//! What can be set: each key is one of the file, a flag and an environment variable, and this is the
//! one list of them.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde::{Deserialize, Deserializer};

use super::push;
use super::selection::Rule;
use super::thresholds;
use crate::detect::Place;
use crate::export::graph::Graph;
use crate::program::service::ServiceRule;
use crate::program::setting::Setting;

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    pitviper agent                                     every Python process of this host\n  \
    pitviper agent --include 'user=^www$' --exclude 'service=^backup$'\n  \
    pitviper agent --config /etc/pitviper.toml         SIGHUP reads it again\n  \
    pitviper agent --print-config > pitviper.toml      every key, its default and why\n  \
    pitviper agent --config pitviper.toml --check-config\n\n\
    A flag comes before its environment variable, that before the file, that before the default.\n\
    In the environment, several values of a key stand on a line each.")]
pub(in crate::program) struct AgentOptions {
    /// Read keys from this file (TOML); SIGHUP reads it again
    #[arg(long, value_name = "FILE", env = "PITVIPER_CONFIG")]
    pub(super) config: Option<PathBuf>,
    /// Print every key with its default and the reason for it
    #[arg(long)]
    pub(super) print_config: bool,
    /// Say `ok`, or what is wrong with the configuration, and end
    #[arg(long, conflicts_with = "print_config")]
    pub(super) check_config: bool,
    #[command(flatten)]
    pub(super) keys: Keys,
}

/// How findings go to standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Json {
    /// As text.
    #[default]
    Off,
    /// A JSON object a line.
    Lines,
}

/// Keys that are set in one place; where one is missing, the next place has its say.
#[derive(Debug, Clone, Default, Args, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Keys {
    /// Follow only processes that match: FIELD=REGEX, where FIELD is cmdline, user, service or
    /// cgroup. Can be given several times; one match is enough
    #[arg(long, value_name = "RULE", env = "PITVIPER_INCLUDE", value_delimiter = '\n')]
    pub(super) include: Option<Vec<Rule>>,
    /// Leave out processes that match, whatever --include says
    #[arg(long, value_name = "RULE", env = "PITVIPER_EXCLUDE", value_delimiter = '\n')]
    pub(super) exclude: Option<Vec<Rule>>,
    /// Name processes whose command line matches. Can be given several times; the first match wins
    #[arg(long, value_name = "NAME=REGEX", env = "PITVIPER_SERVICE", value_delimiter = '\n')]
    pub(super) service: Option<Vec<ServiceRule>>,
    /// Follow at most so many processes; more are counted
    #[arg(long, value_name = "N", env = "PITVIPER_MAX_PROCESSES",
          value_parser = clap::value_parser!(u32).range(1..=4096))]
    #[serde(default, deserialize_with = "between::<1, 4096, _, _>")]
    pub(super) max_processes: Option<u32>,
    /// Findings on standard output as JSON, one a line
    #[arg(long, value_name = "MODE", env = "PITVIPER_JSON", num_args = 0..=1,
          require_equals = true, default_missing_value = "lines")]
    pub(super) json: Option<Json>,
    #[command(flatten)]
    #[serde(default)]
    pub(super) web: Web,
    /// Allow --web.listen-address to be one that other hosts can reach
    #[arg(long, value_name = "BOOL", env = "PITVIPER_LISTEN_PUBLIC", num_args = 0..=1,
          require_equals = true, default_missing_value = "true")]
    pub(super) listen_public: Option<bool>,
    /// Code below this directory is your own [default: all that is not stdlib or site-packages]
    #[arg(long, value_name = "DIR", env = "PITVIPER_APP_ROOT", value_delimiter = '\n')]
    pub(super) app_root: Option<Vec<PathBuf>>,
    /// Files that match the first glob belong where the second one matches
    #[arg(long, value_name = "GLOB=GLOB", env = "PITVIPER_PLACE", value_delimiter = '\n',
          value_parser = Place::parse)]
    #[serde(default, deserialize_with = "places")]
    pub(super) place: Option<Vec<Place>>,
    /// Judge by another number, like fd-leak.silence-seconds=5. Can be given several times
    #[arg(
        long,
        value_name = "RULE.KEY=NUMBER",
        env = "PITVIPER_THRESHOLD",
        value_delimiter = '\n'
    )]
    #[serde(default, deserialize_with = "thresholds::read")]
    pub(super) threshold: Option<Vec<Setting>>,
    /// Watch descriptors and nothing else: the processes pay less for it
    #[arg(long, value_name = "BOOL", env = "PITVIPER_DESCRIPTORS_ONLY", num_args = 0..=1,
          require_equals = true, default_missing_value = "true")]
    pub(super) descriptors_only: Option<bool>,
    /// Living descriptors that fit the ledger, of all processes; more are counted as dropped
    #[arg(long, value_name = "N", env = "PITVIPER_MAX_DESCRIPTORS",
          value_parser = clap::value_parser!(u32).range(1..=4_194_304))]
    #[serde(default, deserialize_with = "between::<1, 4_194_304, _, _>")]
    pub(super) max_descriptors: Option<u32>,
    /// Distinct stacks that fit, of all processes; more are counted as dropped
    #[arg(long, value_name = "N", env = "PITVIPER_MAX_STACKS",
          value_parser = clap::value_parser!(u32).range(1..=1_048_576))]
    #[serde(default, deserialize_with = "between::<1, 1_048_576, _, _>")]
    pub(super) max_stacks: Option<u32>,
    /// Samples of each CPU a second, by which computing is seen; 0 takes none
    #[arg(long, value_name = "HERTZ", env = "PITVIPER_SAMPLES",
          value_parser = clap::value_parser!(u32).range(0..=999))]
    #[serde(default, deserialize_with = "between::<0, 999, _, _>")]
    pub(super) samples: Option<u32>,
    /// Size of the ring buffer, rounded up to a power of two
    #[arg(long, value_name = "BYTES", env = "PITVIPER_RING_BYTES",
          value_parser = clap::value_parser!(u32).range(4096..=1_073_741_824))]
    #[serde(default, deserialize_with = "between::<4096, 1_073_741_824, _, _>")]
    pub(super) ring_bytes: Option<u32>,
    /// Push profiles to a Pyroscope server: http://HOST:PORT or https://HOST
    #[arg(long, value_name = "URL", env = "PITVIPER_PUSH_PYROSCOPE")]
    pub(super) push_pyroscope: Option<String>,
    /// Its credentials: a file with USER:PASSWORD or a bearer token
    #[arg(long, value_name = "FILE", env = "PITVIPER_PUSH_PYROSCOPE_AUTH_FILE")]
    pub(super) push_pyroscope_auth_file: Option<PathBuf>,
    /// Push profiles to a receiver of OTLP by HTTP, such as an OpenTelemetry collector
    #[arg(long, value_name = "URL", env = "PITVIPER_PUSH_OTLP")]
    pub(super) push_otlp: Option<String>,
    /// Its credentials: a file with USER:PASSWORD or a bearer token
    #[arg(long, value_name = "FILE", env = "PITVIPER_PUSH_OTLP_AUTH_FILE")]
    pub(super) push_otlp_auth_file: Option<PathBuf>,
    /// Push every so many seconds what was added since the last time
    #[arg(long, value_name = "SECONDS", env = "PITVIPER_PUSH_INTERVAL",
          value_parser = clap::value_parser!(u32).range(1..=3600))]
    #[serde(default, deserialize_with = "between::<1, 3600, _, _>")]
    pub(super) push_interval: Option<u32>,
    /// Push this graph, such as on-cpu or descriptors-opened. Can be given several times
    #[arg(long, value_name = "GRAPH", env = "PITVIPER_PUSH_GRAPHS", value_delimiter = '\n',
          value_parser = push::parse)]
    #[serde(default, deserialize_with = "push::parse_all")]
    pub(super) push_graphs: Option<Vec<Graph>>,
    /// Bytes of profiles that may wait for each receiver; the oldest make room, and are counted
    #[arg(long, value_name = "BYTES", env = "PITVIPER_PUSH_QUEUE_BYTES",
          value_parser = clap::value_parser!(u32).range(4096..=1_073_741_824))]
    #[serde(default, deserialize_with = "between::<4096, 1_073_741_824, _, _>")]
    pub(super) push_queue_bytes: Option<u32>,
    /// Allow to push by plain HTTP to other hosts
    #[arg(long, value_name = "BOOL", env = "PITVIPER_PUSH_PLAIN_HTTP", num_args = 0..=1,
          require_equals = true, default_missing_value = "true")]
    pub(super) push_plain_http: Option<bool>,
}

/// Keys of the metrics server.
#[derive(Debug, Clone, Default, Args, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Web {
    /// Serve Prometheus metrics here: ADDRESS:PORT, or a port on loopback. Can be given several
    /// times
    #[arg(
        long = "web.listen-address",
        value_name = "ADDR",
        env = "PITVIPER_WEB_LISTEN_ADDRESS",
        value_delimiter = '\n'
    )]
    #[serde(default, deserialize_with = "one_or_many")]
    pub(super) listen_address: Option<Vec<String>>,
    /// Serve the metrics at this path too
    #[arg(long = "web.telemetry-path", value_name = "PATH", env = "PITVIPER_WEB_TELEMETRY_PATH")]
    pub(super) telemetry_path: Option<String>,
    #[command(flatten)]
    #[serde(default)]
    pub(super) config: WebConfig,
}

/// The key of the file about TLS and passwords, which has two dots in its name.
#[derive(Debug, Clone, Default, Args, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct WebConfig {
    /// Serve by TLS and ask for passwords as this file says, in the format of Prometheus's exporters
    #[arg(long = "web.config.file", value_name = "FILE", env = "PITVIPER_WEB_CONFIG_FILE")]
    pub(super) file: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

fn one_or_many<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<String>>, D::Error> {
    let told = |_| serde::de::Error::custom("neither a text nor a list of texts");
    Ok(Some(match OneOrMany::deserialize(from).map_err(told)? {
        OneOrMany::One(one) => vec![one],
        OneOrMany::Many(many) => many,
    }))
}

fn between<'de, const LOW: i64, const HIGH: i64, T, D>(from: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: TryFrom<i64>,
{
    let number = i64::deserialize(from)?;
    let fits = Some(number).filter(|number| (LOW..=HIGH).contains(number));
    let told = || serde::de::Error::custom(format!("{number} is not within {LOW} to {HIGH}"));
    fits.and_then(|number| T::try_from(number).ok()).map(Some).ok_or_else(told)
}

fn places<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<Place>>, D::Error> {
    let texts = Vec::<String>::deserialize(from)?;
    let places = texts.iter().map(|text| Place::parse(text)).collect::<Result<_, _>>();
    places.map(Some).map_err(serde::de::Error::custom)
}
