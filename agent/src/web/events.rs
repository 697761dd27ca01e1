//! `/api/v1/events`: what changes, as server-sent events.
//!
//! Nothing is kept for who comes late: a client reads everything once when it has connected, and the
//! events from then on. One that falls behind is told so, and reads everything again.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::unfold;
use serde_json::Value;
use tokio::sync::broadcast::{Receiver, Sender, error::RecvError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use super::published::Published;

/// Events that a slow client may be behind by.
const BEHIND: usize = 128;

/// Streams at once, of the connections that there are.
const STREAMS: usize = 16;

/// After so long a stream ends, and the client comes again: one that went away without a word does not
/// keep its place.
const STREAM: Duration = Duration::from_secs(540);

/// A sign of life, by which a client notices that the agent is gone.
const HEARTBEAT: Duration = Duration::from_secs(5);

#[derive(Debug, Clone)]
struct Note {
    name: &'static str,
    data: Arc<str>,
}

/// The events of an agent. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Events {
    notes: Sender<Note>,
    room: Arc<Semaphore>,
}

impl Default for Events {
    fn default() -> Self {
        Self { notes: Sender::new(BEHIND), room: Arc::new(Semaphore::new(STREAMS)) }
    }
}

impl Events {
    /// Whether there is anybody to tell.
    pub(super) fn is_heard(&self) -> bool {
        self.notes.receiver_count() > 0
    }

    pub(super) fn tell(&self, name: &'static str, data: &Value) {
        // Nobody may be listening.
        _ = self.notes.send(Note { name, data: data.to_string().into() });
    }
}

struct Stream {
    notes: Receiver<Note>,
    until: Instant,
    begun: bool,
    _place: OwnedSemaphorePermit,
}

impl Stream {
    async fn next(&mut self) -> Option<Event> {
        if !self.begun {
            self.begun = true;
            let hello = serde_json::json!({ "version": env!("CARGO_PKG_VERSION") });
            return Some(Event::default().event("hello").data(hello.to_string()));
        }
        if Instant::now() >= self.until {
            return None;
        }
        match timeout(HEARTBEAT, self.notes.recv()).await {
            Err(_) => Some(Event::default().comment("")),
            Ok(Ok(note)) => Some(Event::default().event(note.name).data(&*note.data)),
            Ok(Err(RecvError::Lagged(missed))) => {
                let told = serde_json::json!({ "events": missed });
                Some(Event::default().event("missed").data(told.to_string()))
            }
            Ok(Err(RecvError::Closed)) => None,
        }
    }
}

pub(super) async fn events(State(published): State<Published>) -> Response {
    let events = published.events();
    let Ok(place) = Arc::clone(&events.room).try_acquire_owned() else {
        let told = "As many clients listen as may; ask again later.\n";
        return (StatusCode::SERVICE_UNAVAILABLE, told).into_response();
    };
    let stream = Stream {
        notes: events.notes.subscribe(),
        until: Instant::now() + STREAM,
        begun: false,
        _place: place,
    };
    let stream = unfold(stream, |mut stream| async {
        let event = stream.next().await?;
        Some((Ok::<_, Infallible>(event), stream))
    });
    Sse::new(stream).into_response()
}
