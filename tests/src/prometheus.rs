//! Real servers of the Prometheus family, ended with their scope.

use std::fs;
use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::deadline::wait_for;
use crate::http;

const LIMIT: Duration = Duration::from_secs(60);

/// A program that serves on a loopback port of its own.
pub struct Server {
    child: Child,
    /// Where it listens.
    pub port: u16,
    _folder: Option<TempDir>,
}

impl Server {
    /// Starts `command`, told to listen on `port`, and waits until `path` answers.
    ///
    /// # Errors
    /// When it does not start, ends, or does not answer.
    pub fn start(mut command: Command, port: u16, path: &str) -> Result<Server> {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().with_context(|| format!("failed to start {command:?}"))?;
        let mut server = Server { child, port, _folder: None };
        wait_for(&format!("an answer of {command:?}"), LIMIT, || {
            if let Some(status) = server.child.try_wait()? {
                bail!("it ended: {status}");
            }
            Ok(matches!(http::get(port, path), Ok((200, _))).then_some(()))
        })?;
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A Prometheus that keeps its samples for as long as the value lives.
pub struct Prometheus(Server);

impl Prometheus {
    /// One that scrapes `target` every second.
    ///
    /// # Errors
    /// As [`Prometheus::start`].
    pub fn scraping(target: &str) -> Result<Prometheus> {
        Prometheus::start(&format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\n\
             scrape_configs:\n\
             - job_name: pitviper\n  static_configs: [{{targets: ['{target}']}}]\n"
        ))
    }

    /// One with this configuration.
    ///
    /// # Errors
    /// When it does not start or does not take the configuration.
    pub fn start(configuration: &str) -> Result<Prometheus> {
        Prometheus::start_program("prometheus", configuration)
    }

    /// The same with another program than the one on the PATH.
    ///
    /// # Errors
    /// As [`Prometheus::start`].
    pub fn start_program(program: &str, configuration: &str) -> Result<Prometheus> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("prometheus.yml");
        fs::write(&file, configuration)?;
        let port = http::free_port()?;
        let mut command = Command::new(program);
        command
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--rules.alert.resend-delay=1s");
        let mut server = Server::start(command, port, "/-/ready")?;
        server._folder = Some(folder);
        Ok(Prometheus(server))
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.0.port
    }

    /// What its API answers.
    ///
    /// # Errors
    /// When it refuses; the message has its reason.
    pub fn ask(&self, path: &str) -> Result<Value> {
        let (status, body) = http::get(self.0.port, path)?;
        ensure!(status == 200, "{path}: {status}: {body}");
        Ok(serde_json::from_str::<Value>(&body)?["data"].take())
    }

    /// The samples that a query gives now.
    ///
    /// # Errors
    /// When the query is refused.
    pub fn query(&self, query: &str) -> Result<Vec<Value>> {
        let answer = self.ask(&format!("/api/v1/query?query={}", encoded(query)));
        let mut answer = answer.with_context(|| query.to_owned())?;
        match answer["result"].take() {
            Value::Array(samples) => Ok(samples),
            other => bail!("{query}: no samples but {other}"),
        }
    }

    /// The value of the first sample that the query gives, once there is one.
    ///
    /// # Errors
    /// When there is none within a minute.
    pub fn wait_for_sample(&self, query: &str) -> Result<String> {
        wait_for(query, LIMIT, || {
            let samples = self.query(query)?;
            let value = samples.first().and_then(|sample| sample["value"][1].as_str());
            Ok(value.map(str::to_owned))
        })
    }
}

/// For the query part of a URL.
pub fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// Holds the text of an answer against promtool's rules.
///
/// # Errors
/// When it breaks one; the message has promtool's words.
pub fn lint(metrics: &str) -> Result<()> {
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    promtool.stdin.take().context("no input")?.write_all(metrics.as_bytes())?;
    let output = promtool.wait_with_output()?;
    let told = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "promtool: {told}\n{metrics}");
    Ok(())
}
