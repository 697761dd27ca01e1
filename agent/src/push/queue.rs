//! Requests that wait for a receiver: so many, of so many bytes; the oldest make room.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Bytes;
use tokio::sync::Notify;

use super::counts::{Counts, Dropped};

/// Requests, whatever their size: each takes a little beside its bytes.
const REQUESTS: usize = 8192;

/// A request, ready to be sent.
#[derive(Debug, Clone)]
pub(super) struct Request {
    /// What follows the target's path.
    pub(super) query: String,
    pub(super) media_type: &'static str,
    pub(super) body: Bytes,
    /// How many profiles it has.
    pub(super) profiles: u64,
}

impl Request {
    fn bytes(&self) -> usize {
        self.body.len() + self.query.len()
    }
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Request>,
    /// Of those that wait, and of the one that is being sent.
    bytes: usize,
    profiles: u64,
    closed: bool,
}

/// The queue of one receiver.
pub(super) struct Queue {
    state: Mutex<State>,
    most: usize,
    came: Notify,
    counts: Arc<Counts>,
}

impl Queue {
    pub(super) fn new(most: usize, counts: Arc<Counts>) -> Self {
        Self { state: Mutex::default(), most, came: Notify::new(), counts }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds one; what it leaves no room for is dropped and counted.
    pub(super) fn push(&self, request: Request) {
        let mut state = self.state();
        state.bytes += request.bytes();
        state.profiles += request.profiles;
        state.waiting.push_back(request);
        while state.bytes > self.most || state.waiting.len() > REQUESTS {
            let Some(oldest) = state.waiting.pop_front() else { break };
            self.leave(&mut state, &oldest);
            self.counts.drop_profiles(Dropped::Full, oldest.profiles);
        }
        self.counts.set_waiting(state.profiles, state.bytes as u64);
        drop(state);
        self.came.notify_one();
    }

    /// No more comes.
    pub(super) fn close(&self) {
        self.state().closed = true;
        self.came.notify_one();
    }

    /// The oldest; it takes its room until it is [`Queue::done`]. `None` when it was the last.
    pub(super) async fn next(&self) -> Option<Request> {
        loop {
            {
                let mut state = self.state();
                if let Some(oldest) = state.waiting.pop_front() {
                    return Some(oldest);
                }
                if state.closed {
                    return None;
                }
            }
            self.came.notified().await;
        }
    }

    /// It needs its room no longer.
    pub(super) fn done(&self, request: &Request) {
        let mut state = self.state();
        self.leave(&mut state, request);
    }

    fn leave(&self, state: &mut State, request: &Request) {
        state.bytes = state.bytes.saturating_sub(request.bytes());
        state.profiles = state.profiles.saturating_sub(request.profiles);
        self.counts.set_waiting(state.profiles, state.bytes as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(bytes: usize, profiles: u64) -> Request {
        let body = Bytes::from(vec![0; bytes]);
        Request { query: String::new(), media_type: "x/y", body, profiles }
    }

    /// Exercise the bounds, with one request under way: what arrives is the newest, and everything
    /// is counted once.
    #[tokio::test]
    async fn the_oldest_make_room() {
        let counts = Arc::new(Counts::new("test"));
        let queue = Queue::new(100, Arc::clone(&counts));
        queue.push(request(40, 1));
        let under_way = queue.next().await.expect("one");
        for profiles in 2..=4 {
            queue.push(request(30, profiles));
        }
        let now = counts.now();
        assert_eq!((now.waiting, now.waiting_bytes, now.dropped[0].1), (1 + 3 + 4, 100, 2));
        queue.done(&under_way);
        queue.push(request(200, 5));
        assert_eq!(counts.now().dropped[0].1, 2 + 3 + 4 + 5, "too large by itself");
        assert_eq!((counts.now().waiting, counts.now().waiting_bytes), (0, 0));
        for _ in 0..REQUESTS + 3 {
            queue.push(request(0, 1));
        }
        assert_eq!(counts.now().waiting, REQUESTS as u64);
        queue.close();
        let mut left = 0;
        while let Some(one) = queue.next().await {
            queue.done(&one);
            left += 1;
        }
        assert_eq!((left, counts.now().waiting), (REQUESTS, 0));
    }
}
