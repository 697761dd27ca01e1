//! Where handlers ask and the thread that knows answers.
//!
//! The ledger belongs to the program's main thread. A question is a function of a [`View`] that takes
//! out what it needs; that thread runs a few of them between two looks at the probes, so that no number
//! of requests keeps it from looking. What is made of the answer is made elsewhere.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::export::api::View;

/// Questions that may wait.
const WAITING: usize = 32;

/// Questions that are answered in one go. Each takes a few milliseconds at most, and there are ten goes
/// a second.
const AT_ONCE: usize = 4;

/// How long a handler waits: the longest search through a host's processes is over by then.
const PATIENCE: Duration = Duration::from_secs(5);

type Question = Box<dyn FnOnce(&View<'_>) + Send>;

/// Nobody answered: too many ask, or the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("The agent is busy; ask again in a second.")]
pub(super) struct Unanswered;

/// The side that asks.
#[derive(Debug, Clone)]
pub(super) struct Desk {
    sender: mpsc::Sender<Question>,
}

/// The side that answers.
pub struct Questions {
    receiver: mpsc::Receiver<Question>,
}

/// Both sides.
pub(super) fn open() -> (Desk, Questions) {
    let (sender, receiver) = mpsc::channel(WAITING);
    (Desk { sender }, Questions { receiver })
}

impl Desk {
    /// Has `question` answered, within a few seconds.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&View<'_>) -> T + Send + 'static,
    ) -> Result<T, Unanswered> {
        let (reply, answer) = oneshot::channel();
        let question: Question = Box::new(move |view| {
            // Who has gone away needs no answer.
            if !reply.is_closed() {
                _ = reply.send(question(view));
            }
        });
        self.sender.try_send(question).map_err(|_| Unanswered)?;
        timeout(PATIENCE, answer).await.map_err(|_| Unanswered)?.map_err(|_| Unanswered)
    }
}

impl Questions {
    /// Answers what has come, a few at most. `view` is made only when somebody asks.
    pub fn answer<'a>(&mut self, view: impl Fn() -> View<'a>) {
        for _ in 0..AT_ONCE {
            let Ok(question) = self.receiver.try_recv() else { return };
            question(&view());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::{Board, Rules};
    use crate::export::WallClock;
    use crate::export::metrics::Health;
    use crate::ledger::{Ledger, Limits, StackNames};
    use crate::python::Stack;

    struct NoNames;

    impl StackNames for NoNames {
        fn stack(&self, _id: u64) -> Option<std::sync::Arc<Stack>> {
            None
        }
    }

    fn answer(questions: &mut Questions) {
        let (ledger, board) = (Ledger::new(Limits::default()), Rules::default().board());
        let health = Health::default();
        let view = |board: &'static Board, ledger: &'static Ledger, health: &'static Health| View {
            ledger,
            board,
            health,
            stacks: &NoNames,
            clock: WallClock::default(),
        };
        let board: &'static Board = Box::leak(Box::new(board));
        let (ledger, health) = (Box::leak(Box::new(ledger)), Box::leak(Box::new(health)));
        questions.answer(|| view(board, ledger, health));
    }

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime")
    }

    /// Exercise more questions than are answered at once, and more than may wait.
    #[test]
    fn questions_are_bounded() {
        let runtime = runtime();
        let (desk, mut questions) = open();
        let mut asked = Vec::new();
        for n in 0..WAITING + 1 {
            let desk = desk.clone();
            asked.push(runtime.spawn(async move { desk.ask(move |_| n).await }));
        }
        let refused = runtime.block_on(asked.pop().expect("the last").into_future());
        assert_eq!(refused.expect("joined"), Err(Unanswered));
        answer(&mut questions);
        for (n, one) in asked.drain(..AT_ONCE).enumerate() {
            assert_eq!(runtime.block_on(one).expect("joined"), Ok(n));
        }
        assert!(asked.iter().all(|one| !one.is_finished()));
    }

    /// Exercise a program that has ended, and a client that has gone away.
    #[test]
    fn nobody_waits_for_ever() {
        let runtime = runtime();
        let (desk, mut questions) = open();
        let gone = runtime.spawn({
            let desk = desk.clone();
            async move { desk.ask(|_| panic!("answered all the same")).await }
        });
        while desk.sender.capacity() == WAITING {
            std::thread::yield_now();
        }
        gone.abort();
        assert!(runtime.block_on(gone).expect_err("aborted").is_cancelled());
        answer(&mut questions);
        drop(questions);
        assert_eq!(runtime.block_on(desk.ask(|_| ())), Err(Unanswered));
    }
}
