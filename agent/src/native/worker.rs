//! The thread that unwinds, beside the one that looks at the probes: a file's tables are read when
//! it is first met, which takes long where the file is large.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use super::frames::{Natives, Occasion};
use super::unwind::Unwinding;
use crate::event::{NativeRecord, ProcessId};

/// Stacks that wait to be unwound: 4 MB.
const WAITING: usize = 256;

/// What became of the stacks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outcomes {
    /// Unwound up to the innermost Python frame.
    pub complete: u64,
    /// Given up on before: no table, no file, deeper than what was copied.
    pub incomplete: u64,
    /// Not looked at: too many waited.
    pub refused: u64,
}

#[derive(Default)]
struct Counts {
    handed: AtomicU64,
    complete: AtomicU64,
    incomplete: AtomicU64,
    refused: AtomicU64,
}

enum Order {
    Unwind { record: Box<NativeRecord>, pid: i32, occasion: Occasion, natives: Natives },
    Forget(ProcessId),
}

/// The thread, and what it has done.
pub struct Worker {
    orders: SyncSender<Order>,
    counts: Arc<Counts>,
}

impl Worker {
    /// Starts the thread; it ends with this.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start() -> std::io::Result<Self> {
        let (orders, inbox) = sync_channel(WAITING);
        let counts = Arc::new(Counts::default());
        let theirs = Arc::clone(&counts);
        let thread = std::thread::Builder::new().name("native".to_owned());
        thread.spawn(move || work(&inbox, &theirs))?;
        Ok(Self { orders, counts })
    }

    /// Has a stack unwound; what comes of it goes to `natives`. Where too many wait, it is refused.
    pub fn unwind(
        &self,
        record: Box<NativeRecord>,
        pid: i32,
        occasion: Occasion,
        natives: Natives,
    ) {
        let order = Order::Unwind { record, pid, occasion, natives };
        let taken = self.orders.try_send(order).is_ok();
        let count = if taken { &self.counts.handed } else { &self.counts.refused };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// Drops what is known of a process: it ended, or runs another program.
    pub fn forget(&self, process: ProcessId) {
        // Where there is no room now, its mappings are read again after seconds at the latest.
        let _ = self.orders.try_send(Order::Forget(process));
    }

    /// Waits until everything that was handed over is done, for so long at most. It looks again and
    /// again, since the queue has no way to wait for an answer with a limit; once a run, at its end.
    pub fn settle(&self, most: Duration) {
        let until = Instant::now() + most;
        let handed = self.counts.handed.load(Ordering::Relaxed);
        while Instant::now() < until {
            let Outcomes { complete, incomplete, .. } = self.outcomes();
            if complete + incomplete >= handed {
                break;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// What became of the stacks so far.
    pub fn outcomes(&self) -> Outcomes {
        let of = |count: &AtomicU64| count.load(Ordering::Acquire);
        Outcomes {
            complete: of(&self.counts.complete),
            incomplete: of(&self.counts.incomplete),
            refused: of(&self.counts.refused),
        }
    }
}

fn work(inbox: &Receiver<Order>, counts: &Counts) {
    let mut unwinding = Unwinding::default();
    while let Ok(order) = inbox.recv() {
        let (record, pid, occasion, natives) = match order {
            Order::Forget(process) => {
                unwinding.forget(process);
                continue;
            }
            Order::Unwind { record, pid, occasion, natives } => (record, pid, occasion, natives),
        };
        // The files are the target's: should one bring a parser to panic, it is that file's loss.
        let frames = catch_unwind(AssertUnwindSafe(|| unwinding.frames(&record, pid)));
        let frames = frames.unwrap_or_else(|_| {
            unwinding = Unwinding::default();
            None
        });
        let count = match frames {
            Some(frames) => {
                natives.add(occasion, frames.into());
                &counts.complete
            }
            None => &counts.incomplete,
        };
        count.fetch_add(1, Ordering::Release);
    }
}
