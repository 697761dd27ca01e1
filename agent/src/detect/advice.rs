//! What to do about a descriptor of each kind, in one sentence.

use crate::ledger::DescriptorKind;

/// For a line that opens such descriptors and does not close them.
pub(super) fn close(kind: DescriptorKind, accepted: bool) -> &'static str {
    match kind {
        DescriptorKind::File => {
            "Open the file in a `with open(...) as f:` block, so that it is closed on every path, \
             errors included."
        }
        DescriptorKind::Directory => {
            "Use `with os.scandir(path) as entries:`, or `os.close(fd)` in a `finally:` for a \
             directory opened by `os.open`."
        }
        DescriptorKind::Socket if accepted => {
            "Close each accepted connection in a `finally:` (or `with connection:`), and give idle \
             ones a timeout."
        }
        DescriptorKind::Socket => {
            "Close the socket in a `with` block, or make one session or client at start and reuse \
             its pooled connections."
        }
        DescriptorKind::Pipe => {
            "Close both ends of the pipe; for child processes use `with subprocess.Popen(...) as p:` \
             or `subprocess.run`, which close their pipes."
        }
        DescriptorKind::Fifo => "Open the named pipe in a `with open(...) as f:` block.",
        DescriptorKind::Device => "Open the device in a `with open(...) as f:` block.",
        DescriptorKind::Epoll => {
            "Close each selector or event loop (`with selectors.DefaultSelector() as s:`, \
             `loop.close()`), or keep one for the whole program."
        }
        DescriptorKind::Eventfd
        | DescriptorKind::Timerfd
        | DescriptorKind::Signalfd
        | DescriptorKind::Pidfd
        | DescriptorKind::Userfaultfd => {
            "Call `os.close(fd)` in a `finally:` when the wait on it is over."
        }
        DescriptorKind::Inotify => {
            "Keep one inotify instance and add watches to it, and close it when the watching ends."
        }
        DescriptorKind::Memfd => {
            "Close the memory file in a `finally:`, or wrap it: `with os.fdopen(fd, \"w+b\") as f:`."
        }
        DescriptorKind::PerfEvent | DescriptorKind::IoUring | DescriptorKind::Bpf => {
            "Close the handle when it is no longer needed, or make one at start and reuse it."
        }
        DescriptorKind::Other => {
            "Close the descriptor on every path, errors included: `with`, or `try: ... finally:`."
        }
    }
}

/// For a resource of this Python type that the collector closed.
pub(super) fn unclosed(type_name: &str) -> &'static str {
    let last = type_name.rsplit('.').next().unwrap_or(type_name);
    if last.contains("socket") || last == "SSLSocket" {
        "Close it in the code: `with socket.create_connection(...) as s:`, or `s.close()` in a \
         `finally:`."
    } else if last == "Popen" {
        "Wait for the child: `with subprocess.Popen(...) as p:`, or `subprocess.run(...)`."
    } else if last.contains("EventLoop") {
        "Close the loop: `asyncio.run(...)` does, `loop.close()` in a `finally:` otherwise."
    } else if last.contains("TemporaryDirectory") || last.contains("TemporaryFile") {
        "Use it as a context manager: `with tempfile.TemporaryDirectory() as path:`."
    } else if last.contains("Transport") || last == "StreamWriter" {
        "Close the transport (`writer.close(); await writer.wait_closed()`) before the loop ends."
    } else if last.contains("ScandirIterator") {
        "Use it as a context manager: `with os.scandir(path) as entries:`."
    } else if last == "Pool" {
        "Use it as a context manager, or call `close()` and `join()`: `with multiprocessing.Pool() as pool:`."
    } else if type_name.starts_with("_io.") || last.contains("File") {
        "Close it in the code: `with open(...) as f:`."
    } else {
        "Close it in the code: by `with`, or `close()` in a `finally:`."
    }
}
