"""What each of the programs is given: a folder, a listening socket, Redis, a load beside it."""

import os
import socket
import subprocess

import companions
import handshake
from audited.companion import Companion
from session import end_with_stdin, start_thread
from wellbehaved.listening import until_it_listens
from wellbehaved.work import Work

BACKLOG = 64


class Stage:
    def __init__(self, session):
        self.session = session
        self.folder = session.folder
        self.work = Work(self.folder / "work", create=True)
        session.closing.callback(os.chdir, "/")
        self.loads = []
        self.told = False
        # pytest takes the usual one for itself, and its own line may not be at its end.
        self.stdout = os.dup(1)

    def load(self, module, *words):
        """A process that loads the program once it has begun, and counts its work."""
        self.loads.append(self.service(module, *words, self.work.path))

    def service(self, module, *words):
        """A process beside the program, which waits until it is let go."""
        return self.session.closing.enter_context(Companion("wellbehaved." + module, *words))

    def listen(self):
        listener = socket.create_server(("127.0.0.1", 0), backlog=BACKLOG)
        self.session.closing.enter_context(listener)
        return listener

    def free_port(self):
        """For servers that only take a number."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            return free.getsockname()[1]

    def redis(self):
        """The port of a Redis server that keeps nothing on disk."""
        port = self.free_port()
        command = ["redis-server", "--bind", "127.0.0.1", "--port", str(port)]
        command += ["--save", "", "--appendonly", "no", "--dir", str(self.folder)]
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            preexec_fn=companions.die_with_parent,
        )
        self.session.closing.callback(companions.stop, process)
        until_it_listens(port)
        return port

    def begin(self):
        """Returns when the program may go to work; its load goes to work, too."""
        if self.session.handshaken:
            handshake.start()
            start_thread(self.answer)
        else:
            self.session.say_what_runs()
        for load in self.loads:
            load.go()

    def answer(self):
        # What comes earlier is lost: the handshake reads ahead.
        self.say("WORK")
        # Not by `sys.stdin`: its lock would be held where a child is forked, and children close it.
        while heard := os.read(0, 1024):
            for _ in range(heard.count(b"count")):
                self.say("WORK")
        # Not every program comes back from an interrupt in time.
        self.tell_work()
        end_with_stdin()

    def tell_work(self):
        if not self.told:
            self.told = True
            self.say("DONE")

    def say(self, word):
        os.write(self.stdout, b"\n%s %d\n" % (word.encode(), self.work.count()))
