//! What Alertmanager delivers to: keeps the alerts that are posted.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result};
use serde_json::Value;

/// A receiver on a loopback port of its own. It serves until the test ends.
pub struct Webhook {
    /// Where it listens.
    pub port: u16,
    alerts: Arc<Mutex<Vec<Value>>>,
}

impl Webhook {
    /// Listens.
    ///
    /// # Errors
    /// When the system has no port.
    pub fn start() -> Result<Webhook> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let alerts = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&alerts);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A post that cannot be read is posted again.
                if let Ok(posted) = receive(stream) {
                    kept.lock().unwrap_or_else(PoisonError::into_inner).extend(posted);
                }
            }
        });
        Ok(Webhook { port, alerts })
    }

    /// Whether an alert of this name and pid was posted with this status (`firing`, `resolved`).
    /// No pid stands for any.
    pub fn has(&self, status: &str, name: &str, pid: Option<u32>) -> bool {
        let pid = pid.map(|pid| pid.to_string());
        self.alerts.lock().unwrap_or_else(PoisonError::into_inner).iter().any(|alert| {
            alert["status"] == status
                && alert["labels"]["alertname"] == name
                && pid.as_ref().is_none_or(|pid| alert["labels"]["pid"] == pid.as_str())
        })
    }

    /// All that was posted, in short, for messages.
    pub fn outline(&self) -> Vec<String> {
        let alerts = self.alerts.lock().unwrap_or_else(PoisonError::into_inner);
        alerts.iter().map(|alert| format!("{} {}", alert["status"], alert["labels"])).collect()
    }
}

fn receive(stream: TcpStream) -> Result<Vec<Value>> {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let line = line.trim().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse()?;
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    reader
        .get_mut()
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")?;
    let mut posted: Value = serde_json::from_slice(&body)?;
    serde_json::from_value(posted["alerts"].take()).context("no alerts were posted")
}
