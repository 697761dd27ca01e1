//! The lines that a child process prints, read by a thread so that the child never blocks on a
//! full pipe.

use std::io::{BufRead, BufReader, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// Lines of one stream, in the order of their coming. Bytes that are not UTF-8 are replaced.
pub struct Lines {
    incoming: Receiver<String>,
    seen: Vec<String>,
    cursor: usize,
}

impl Lines {
    /// Starts to read `stream`.
    pub fn of(stream: impl Read + Send + 'static) -> Lines {
        let (sender, incoming) = channel();
        thread::spawn(move || {
            let mut stream = BufReader::new(stream);
            let mut line = Vec::new();
            while matches!(stream.read_until(b'\n', &mut line), Ok(n) if n > 0) {
                let text = String::from_utf8_lossy(&line).trim_end_matches('\n').to_owned();
                if sender.send(text).is_err() {
                    break;
                }
                line.clear();
            }
        });
        Lines { incoming, seen: Vec::new(), cursor: 0 }
    }

    /// The next line; `None` once the stream has ended.
    ///
    /// # Errors
    /// When no line came within `limit`.
    pub fn next(&mut self, limit: Duration) -> Result<Option<String>> {
        if self.cursor == self.seen.len() {
            match self.incoming.recv_timeout(limit) {
                Ok(line) => self.seen.push(line),
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
                Err(RecvTimeoutError::Timeout) => bail!("no line within {limit:?}"),
            }
        }
        self.cursor += 1;
        Ok(Some(self.seen[self.cursor - 1].clone()))
    }

    /// The next line that `wanted` accepts; the lines before it are passed over.
    ///
    /// # Errors
    /// When no such line came within `limit`, or the stream ended first.
    pub fn next_where(
        &mut self,
        what: &str,
        limit: Duration,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<String> {
        let start = Instant::now();
        loop {
            let left = limit.saturating_sub(start.elapsed());
            match self.next(left) {
                Ok(Some(line)) if wanted(&line) => return Ok(line),
                Ok(Some(_)) => {}
                Ok(None) => bail!("{what}: the stream ended without it\n{}", self.tail()),
                Err(_) => bail!("{what}: not within {limit:?}\n{}", self.tail()),
            }
        }
    }

    /// Every line up to the stream's end, those already taken included.
    ///
    /// # Errors
    /// When the stream did not end within `limit`.
    pub fn all(&mut self, limit: Duration) -> Result<&[String]> {
        let start = Instant::now();
        while self.next(limit.saturating_sub(start.elapsed()))?.is_some() {}
        Ok(&self.seen)
    }

    /// The lines that have been taken.
    pub fn past(&self) -> &[String] {
        &self.seen
    }

    /// The newest lines so far, for an error message.
    pub fn tail(&mut self) -> String {
        self.seen.extend(self.incoming.try_iter());
        let start = self.seen.len().saturating_sub(30);
        self.seen[start..].join("\n")
    }
}
