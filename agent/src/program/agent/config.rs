//! The configuration: flags and environment over the file over the defaults.

use std::path::{Path, PathBuf};

use super::options::{AgentOptions, Json, Keys};
use super::selection::Selection;
use super::{keys, push};
use crate::detect::{Place, Rules};
use crate::program::ProgramError;
use crate::program::metrics::TELEMETRY_PATH;
use crate::program::service::{ServiceNames, ServiceRule};
use crate::program::setting::{self, Setting};
use crate::source::ebpf;

/// Every key with its value.
#[derive(Debug, Clone)]
pub(super) struct Config {
    pub(super) selection: Selection,
    pub(super) max_processes: u32,
    pub(super) json: Json,
    pub(super) service: Vec<ServiceRule>,
    pub(super) place: Vec<Place>,
    /// Those of the file come first, those of the command line have the last word.
    pub(super) threshold: Vec<Setting>,
    /// What cannot change while the agent runs.
    pub(super) fixed: Fixed,
}

/// Keys that take effect when the agent starts.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Fixed {
    pub(super) listen_address: Vec<String>,
    pub(super) telemetry_path: String,
    pub(super) web_config: Option<PathBuf>,
    pub(super) listen_public: bool,
    pub(super) app_root: Vec<PathBuf>,
    descriptors_only: bool,
    max_descriptors: u32,
    max_stacks: u32,
    pub(super) samples: u32,
    ring_bytes: u32,
    pub(super) push: push::Keys,
}

impl Config {
    /// Reads the file, if there is one.
    pub(super) fn read(options: &AgentOptions) -> Result<Self, ProgramError> {
        let file = match &options.config {
            None => Keys::default(),
            Some(path) => {
                let text = std::fs::read_to_string(path).map_err(|cause| {
                    ProgramError::BadConfig(format!("failed to read {}: {cause}", path.display()))
                })?;
                parse(path, &text)?
            }
        };
        Ok(Self::over(options.keys.clone(), file))
    }

    /// `first` where it says something, else `second`, else the default.
    fn over(first: Keys, second: Keys) -> Self {
        macro_rules! key {
            ($($name:ident).+) => { first.$($name).+.or(second.$($name).+).unwrap_or_default() };
            ($($name:ident).+, $default:expr) => {
                first.$($name).+.or(second.$($name).+).unwrap_or($default)
            };
        }
        Self {
            selection: Selection { include: key!(include), exclude: key!(exclude) },
            max_processes: key!(max_processes, keys::MAX_PROCESSES),
            json: key!(json),
            service: key!(service),
            place: key!(place),
            threshold: [second.threshold, first.threshold]
                .into_iter()
                .flatten()
                .flatten()
                .collect(),
            fixed: Fixed {
                listen_address: key!(web.listen_address, vec![keys::LISTEN_ADDRESS.into()]),
                telemetry_path: key!(web.telemetry_path, TELEMETRY_PATH.into()),
                web_config: first
                    .web
                    .config
                    .file
                    .or(second.web.config.file)
                    .filter(|path| named(path)),
                listen_public: key!(listen_public),
                app_root: key!(app_root),
                descriptors_only: key!(descriptors_only),
                max_descriptors: key!(max_descriptors, keys::MAX_DESCRIPTORS),
                max_stacks: key!(max_stacks, keys::MAX_STACKS),
                samples: key!(samples, keys::SAMPLES),
                ring_bytes: key!(ring_bytes, keys::RING_BYTES),
                push: push::Keys {
                    pyroscope: push::destination(
                        first.push_pyroscope.or(second.push_pyroscope),
                        first.push_pyroscope_auth_file.or(second.push_pyroscope_auth_file),
                    ),
                    otlp: push::destination(
                        first.push_otlp.or(second.push_otlp),
                        first.push_otlp_auth_file.or(second.push_otlp_auth_file),
                    ),
                    interval: key!(push_interval, keys::PUSH_INTERVAL),
                    graphs: key!(push_graphs, push::growing()),
                    queue_bytes: key!(push_queue_bytes, keys::PUSH_QUEUE_BYTES),
                    plain_http: key!(push_plain_http),
                },
            },
        }
    }

    pub(super) fn probes(&self) -> ebpf::Options {
        ebpf::Options {
            descriptors_only: self.fixed.descriptors_only,
            max_descriptors: self.fixed.max_descriptors,
            max_stacks: self.fixed.max_stacks,
            samples: self.fixed.samples.into(),
            ring_bytes: self.fixed.ring_bytes,
            // Room for as many as the default has, should the configuration be read again.
            max_processes: self.max_processes.max(keys::MAX_PROCESSES),
            ..ebpf::Options::default()
        }
    }

    pub(super) fn rules(&self) -> Rules {
        let mut thresholds = setting::thresholds(&self.threshold);
        thresholds.misplaced_file.places.clone_from(&self.place);
        Rules::new(thresholds)
    }

    pub(super) fn services(&self) -> ServiceNames {
        ServiceNames::new(self.service.clone())
    }
}

/// In the file, an empty name stands for none.
fn named(path: &Path) -> bool {
    !path.as_os_str().is_empty()
}

/// Parses a file; an error names the file, the line, the key, and what would be right.
fn parse(path: &Path, text: &str) -> Result<Keys, ProgramError> {
    toml::from_str(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start).min(text.len());
        let before = text.get(..at).unwrap_or(text);
        let number = before.matches('\n').count() + 1;
        let line = text.lines().nth(number - 1).unwrap_or_default();
        let key = line.split_once('=').map(|(key, _)| key.trim());
        let message = error.message();
        let unknown = message.strip_prefix("unknown field `").and_then(|rest| rest.split_once('`'));
        let what = match (unknown, key) {
            (Some((key, _)), _) => format!("there is no key `{key}`; {}", keys::hint(key)),
            (None, Some(key)) => format!("{key}: {message}{}", keys::right(key)),
            (None, None) => message.to_owned(),
        };
        ProgramError::BadConfig(format!("{}:{number}: {}", path.display(), what.replace('\n', " ")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::Thresholds;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: AgentOptions,
    }

    fn parsed(text: &str) -> Keys {
        parse(Path::new("p.toml"), text).unwrap()
    }

    fn flags(words: &[&str]) -> Keys {
        Line::try_parse_from([&["pitviper"], words].concat()).unwrap().options.keys
    }

    #[test]
    fn a_flag_comes_before_the_file_and_the_file_before_the_default() {
        let file = || parsed("max-processes = 5\nsamples = 7\nweb.listen-address = '9000'");
        let config = Config::over(flags(&["--samples", "9", "--json"]), file());
        assert_eq!((config.max_processes, config.fixed.samples), (5, 9));
        assert_eq!(config.fixed.listen_address, ["9000"]);
        assert_eq!(config.fixed.max_stacks, keys::MAX_STACKS);
        assert_eq!(config.json, Json::Lines);
    }

    #[test]
    fn a_threshold_of_the_command_line_has_the_last_word() {
        let file = parsed(
            "[threshold.slow-call]\ncount = 5\nshare = 0.5\n[threshold.growth]\nminimum = 9",
        );
        let config = Config::over(flags(&["--threshold", "slow-call.count=7"]), file);
        let set = setting::thresholds(&config.threshold);
        assert_eq!((set.slow_call.count, set.slow_call.share, set.growth.minimum), (7, 0.5, 9.0));
    }

    #[test]
    fn addresses_are_one_or_many() {
        for (text, expected) in [
            ("web.listen-address = '9000'", &["9000"][..]),
            ("web.listen-address = ['9000', '[::1]:9001']", &["9000", "[::1]:9001"]),
        ] {
            assert_eq!(Config::over(Keys::default(), parsed(text)).fixed.listen_address, expected);
        }
        let words = ["--web.listen-address=1", "--web.listen-address=2"];
        let config = Config::over(flags(&words), parsed("web.listen-address = '3'"));
        assert_eq!(config.fixed.listen_address, ["1", "2"]);
        let wrong = parse(Path::new("p.toml"), "web.listen-address = 5").unwrap_err().to_string();
        assert!(wrong.contains("web.listen-address") && wrong.contains("list"), "{wrong}");
    }

    #[test]
    fn lists_and_tables_are_read() {
        let keys = parsed(
            "include = ['user=^www$']\nplace = ['*.db=/data/**']\n\
             [[service]]\nmatch = 'shop'\nname = 'Shop'\n",
        );
        assert_eq!(keys.include.unwrap(), ["user=^www$".parse().unwrap()]);
        assert_eq!(keys.place.unwrap().len(), 1);
        assert_eq!(keys.service.unwrap().len(), 1);
    }

    #[test]
    fn errors_name_the_line_the_key_and_what_would_be_right() {
        for (text, told) in [
            (
                "samples = 99\nmax-proceses = 3\n",
                &["p.toml:2: ", "`max-proceses`", "`max-processes`"][..],
            ),
            ("\n\nmax-processes = 0\n", &["p.toml:3: ", "max-processes: ", "1 to 4096"]),
            ("samples = 'many'\n", &["p.toml:1: ", "samples: ", "99"]),
            ("include = ['shop']\n", &["p.toml:1: ", "include: ", "service=^shop$"]),
            ("exclude = ['user=(']\n", &["p.toml:1: ", "exclude: "]),
            ("json = 'document'\n", &["p.toml:1: ", "json: ", "lines"]),
            ("[[service]]\nmatch = 'x'\nnam = 'y'\n", &["p.toml:3: ", "`nam`", "`name`"]),
            ("web.listen-adress = '1'\n", &["p.toml:1: ", "`web.listen-address`"]),
            ("samples = \n", &["p.toml:1: "]),
            (
                "[threshold.fd-leak]\nsilence-seconds = 5\npatiense = 3\n",
                &["p.toml:3: ", "`patience`"],
            ),
            ("[threshold.slow-call]\n\ncount = 2.5\n", &["p.toml:3: ", "whole number"]),
            ("[threshold.slow-cal]\ncount = 2\n", &["p.toml:2: ", "`slow-call`"]),
            ("[threshold.slow-call]\ncount = 'x'\n", &["p.toml:2: ", "count: "]),
        ] {
            let error = parse(Path::new("p.toml"), text).unwrap_err().to_string();
            for part in told {
                assert!(error.contains(part), "{text:?}: {error}");
            }
            assert_eq!(error.lines().count(), 1, "{error}");
        }
    }

    #[test]
    fn what_is_printed_is_the_defaults() {
        let mut printed = Config::over(Keys::default(), parsed(&keys::print()));
        assert_eq!(setting::thresholds(&printed.threshold), Thresholds::default());
        assert!(printed.threshold.len() > 200);
        printed.threshold.clear();
        let default = Config::over(Keys::default(), Keys::default());
        assert_eq!(format!("{printed:?}"), format!("{default:?}"));
    }

    #[test]
    fn every_key_is_a_flag_and_a_variable_and_is_printed() {
        use clap::CommandFactory;
        let command = Line::command();
        let known: Vec<_> = keys::names().collect();
        for key in &known {
            let flag = command.get_arguments().find(|arg| arg.get_long() == Some(key));
            let variable = format!("PITVIPER_{}", key.to_uppercase().replace(['-', '.'], "_"));
            let env = flag.and_then(|flag| flag.get_env()).map(|env| env.to_string_lossy());
            assert_eq!(env.as_deref(), Some(&*variable), "{key}");
        }
        let about_the_run = ["config", "print-config", "check-config", "threshold"];
        for flag in command.get_arguments().filter_map(|arg| arg.get_long()) {
            assert!(known.contains(&flag) || about_the_run.contains(&flag), "{flag}");
        }
    }
}
