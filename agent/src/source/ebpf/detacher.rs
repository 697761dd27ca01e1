//! Uprobes are detached aside.
//!
//! To close the link of a uprobe waits for two grace periods of the kernel's RCU for tasks (0.3 s on
//! Linux 6.18, whatever the machine does): with a hundred processes that end a minute, whoever does
//! it does nothing else. Those who wait at the same time wait for the same grace period, so many are
//! closed at once.

use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, Builder, JoinHandle};

/// Links that are closed at the same time at most. A thread of them does nothing but wait.
const AT_ONCE: usize = 256;
const STACK_BYTES: usize = 64 << 10;

/// Closes what it is given, beside whoever gives it.
pub(super) struct Detacher<T: Send + 'static> {
    worker: Option<(Sender<Vec<T>>, JoinHandle<()>)>,
}

impl<T: Send + 'static> Default for Detacher<T> {
    fn default() -> Self {
        Self { worker: None }
    }
}

impl<T: Send + 'static> Detacher<T> {
    /// Takes what is to be closed. Where no thread can be had it is closed here.
    pub(super) fn detach(&mut self, links: Vec<T>) {
        if links.is_empty() {
            return;
        }
        if self.worker.is_none() {
            let (queue, queued) = mpsc::channel();
            let work = move || work(&queued);
            let started = Builder::new().name("detacher".to_owned()).spawn(work);
            self.worker = started.ok().map(|handle| (queue, handle));
        }
        if let Some((queue, _)) = &self.worker {
            // What cannot be sent comes back in the error and is closed with it.
            let _ = queue.send(links);
        }
    }

    /// Waits until all that was given is closed.
    pub(super) fn finish(&mut self) {
        if let Some((queue, worker)) = self.worker.take() {
            drop(queue);
            // It panics as little as closing does.
            let _ = worker.join();
        }
    }
}

impl<T: Send + 'static> Drop for Detacher<T> {
    fn drop(&mut self) {
        self.finish();
    }
}

fn work<T: Send>(queued: &Receiver<Vec<T>>) {
    while let Ok(mut links) = queued.recv() {
        links.extend(queued.try_iter().flatten());
        close(links);
    }
}

fn close<T: Send>(mut links: Vec<T>) {
    let share = links.len().div_ceil(AT_ONCE);
    thread::scope(|scope| {
        while !links.is_empty() {
            let some = links.split_off(links.len().saturating_sub(share));
            let thread = Builder::new().name("detacher".to_owned()).stack_size(STACK_BYTES);
            // Without a thread they are closed here, with the closure that has them.
            let _ = thread.spawn_scoped(scope, move || drop(some));
        }
    });
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::{Duration, Instant};

    use super::*;

    /// Takes as long to close as a link does.
    struct Slow(Arc<AtomicUsize>);

    impl Drop for Slow {
        fn drop(&mut self) {
            thread::sleep(Duration::from_millis(50));
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn many_are_closed_at_once_and_whoever_asks_does_not_wait() {
        let closed = Arc::new(AtomicUsize::new(0));
        let slow = |count: usize| (0..count).map(|_| Slow(Arc::clone(&closed))).collect();
        let mut detacher = Detacher::default();
        let begun = Instant::now();
        detacher.detach(slow(AT_ONCE + 40));
        detacher.detach(Vec::new());
        detacher.detach(slow(2));
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
        detacher.finish();
        assert_eq!(closed.load(Ordering::Relaxed), AT_ONCE + 42);
        // It goes on after that.
        detacher.detach(slow(1));
        drop(detacher);
        assert_eq!(closed.load(Ordering::Relaxed), AT_ONCE + 43);
    }
}
