"""One run of a workload: its folder, its companions, its beginning and its end."""

import os
import signal
import tempfile
import threading
from contextlib import ExitStack
from pathlib import Path

import companions
import handshake

# How long the orderly end may take before the process just goes.
END_SECONDS = 5


class Session:
    """Ends quietly on Ctrl-C, SIGTERM or, after a handshake, with its standard input."""

    def __init__(self, title, handshaken):
        self.title = title
        self.handshaken = handshaken
        self.closing = ExitStack()

    def __enter__(self):
        # A shell starts its background jobs with SIGINT ignored.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        folder = self.closing.enter_context(tempfile.TemporaryDirectory(prefix="workload-"))
        self.folder = Path(folder)
        return self

    def __exit__(self, kind, error, trace):
        try:
            self.closing.close()
        except OSError:
            # A companion may still write where the folder is being removed.
            pass
        return kind is KeyboardInterrupt

    def start_companion(self, module, *words, **options):
        """Starts a process beside the workload; returns what it announces of itself."""
        process, announced = companions.start(module, *words, **options)
        self.closing.callback(companions.stop, process)
        return announced

    def begin(self):
        """Returns when the workload may go to work."""
        if self.handshaken:
            handshake.start()
            start_thread(end_with_stdin)
        else:
            self.say_what_runs()

    def begin_beside(self, go):
        """The same where an event loop already runs: calls `go`, from a thread."""
        if self.handshaken:
            start_thread(begin_and_end_with_stdin, go)
        else:
            self.say_what_runs()
            go()

    def say_what_runs(self):
        print("%s; Ctrl-C ends it" % self.title, flush=True)


def start_thread(target, *arguments):
    threading.Thread(target=target, args=arguments, name="stdin", daemon=True).start()


def begin_and_end_with_stdin(go):
    handshake.start()
    go()
    end_with_stdin()


def end_with_stdin():
    while os.read(0, 1024):
        pass
    signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
    threading.Event().wait(END_SECONDS)
    os._exit(0)
