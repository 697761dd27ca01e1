"""One run of a part of the system: its folder, its companions, its beginning and its end."""

import os
import signal
import tempfile
import threading
from contextlib import ExitStack
from pathlib import Path

import handshake
from agents_84 import companions

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
        folder = self.closing.enter_context(tempfile.TemporaryDirectory(prefix="agents-84-"))
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
        """Starts a process beside the system; returns what it announces of itself."""
        process, announced = companions.start(module, *words, **options)
        self.closing.callback(companions.stop, process)
        return announced

    def begin(self):
        """Returns when the part may go to work."""
        if not self.handshaken:
            print("%s; Ctrl-C ends it" % self.title, flush=True)
            return
        handshake.start()
        threading.Thread(target=end_with_stdin, name="stdin", daemon=True).start()


def end_with_stdin():
    while os.read(0, 1024):
        pass
    signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
    threading.Event().wait(END_SECONDS)
    os._exit(0)
