//! How long a connection may last. Most are over within seconds; a handler that needs more time (a
//! profile over a minute, a stream of events) says so.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

#[derive(Clone)]
struct Deadline(Arc<Mutex<Instant>>);

impl Deadline {
    fn get(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn at_least(&self, instant: Instant) {
        let mut deadline = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *deadline = instant.max(*deadline);
    }
}

tokio::task_local! {
    /// That of the connection which the task serves: handlers run in the same task.
    static DEADLINE: Deadline;
}

/// Runs a connection for `limit`, or as long as [`extend`] has asked for from within. `None` when the
/// time was over before it was.
pub(super) async fn within<F: Future>(limit: Duration, connection: F) -> Option<F::Output> {
    let deadline = Deadline(Arc::new(Mutex::new(Instant::now() + limit)));
    let run = async {
        let mut connection = std::pin::pin!(connection);
        loop {
            let until = deadline.get();
            tokio::select! {
                biased;
                done = &mut connection => return Some(done),
                () = sleep_until(until) => {
                    if deadline.get() <= until {
                        return None;
                    }
                }
            }
        }
    };
    DEADLINE.scope(deadline.clone(), run).await
}

/// Lets the connection whose request is being answered go on for at least `time` from now.
pub(super) fn extend(time: Duration) {
    // Without a connection there is nothing that would end too early.
    _ = DEADLINE.try_with(|deadline| deadline.at_least(Instant::now() + time));
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::sleep;

    const SHORT: Duration = Duration::from_millis(20);
    const LONG: Duration = Duration::from_secs(3_600);

    fn run<T>(future: impl Future<Output = T>) -> T {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().build().expect("a runtime").block_on(future)
    }

    /// Exercise a connection that takes too long, and one that asked for the time.
    #[test]
    fn time_is_given_to_who_asks() {
        assert_eq!(run(async { within(SHORT, sleep(LONG)).await }), None);
        let patient = async {
            extend(LONG);
            sleep(SHORT * 3).await;
        };
        assert_eq!(run(within(SHORT, patient)), Some(()));
        let shortened = async {
            extend(Duration::ZERO);
            sleep(SHORT).await;
        };
        assert_eq!(run(within(LONG, shortened)), Some(()), "never less than the limit");
        run(async { extend(LONG) });
    }
}
