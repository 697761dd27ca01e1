"""Does what can be counted from outside, and counts it too.

usage: counted.py spawns|connects|bytes|maps|waits

Prints its pid, does it when told `go`, and prints what it knows of it as one line of JSON.
"""

import asyncio
import json
import mmap
import multiprocessing
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

import handshake

HELD = []


def sleepless():
    """What the children of multiprocessing do."""


async def two_children():
    for _ in range(2):
        child = await asyncio.create_subprocess_exec("true")
        await child.wait()


def spawns():
    for _ in range(5):
        subprocess.run(["true"], check=True)
    for _ in range(3):
        subprocess.run(["true"], check=True, close_fds=False)
    for _ in range(2):
        os.system("/bin/true; /bin/true")
    for _ in range(2):
        with os.popen("/bin/true") as pipe:
            pipe.read()
    for _ in range(3):
        os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)
    for _ in range(2):
        try:
            subprocess.run(["/nonexistent/program"], check=True)
        except FileNotFoundError:
            pass
    for _ in range(2):
        pid = os.fork()
        if not pid:
            os._exit(3)
        os.waitpid(pid, 0)
    for way in ("fork", "spawn", "forkserver"):
        child = multiprocessing.get_context(way).Process(target=sleepless)
        child.start()
        child.join()
    asyncio.run(two_children())
    return {}


class Server(threading.Thread):
    """Takes connections and counts them."""

    def __init__(self, family, address):
        super().__init__(daemon=True)
        self.listener = socket.socket(family)
        self.listener.bind(address)
        self.listener.listen(128)
        self.taken = 0

    def run(self):
        while True:
            self.listener.accept()[0].close()
            self.taken += 1


async def open_and_close(address):
    for _ in range(5):
        _, writer = await asyncio.open_connection(*address)
        writer.close()
        await writer.wait_closed()


def connects():
    folder = tempfile.mkdtemp()
    tcp = Server(socket.AF_INET, ("127.0.0.1", 0))
    local = Server(socket.AF_UNIX, os.path.join(folder, "socket"))
    unused = socket.socket()
    unused.bind(("127.0.0.1", 0))  # bound, and nobody listens
    tcp.start()
    local.start()
    address = tcp.listener.getsockname()
    for timeout in (None, 5):
        for _ in range(10):
            socket.create_connection(address, timeout=timeout).close()
        for _ in range(4):
            try:
                socket.create_connection(unused.getsockname(), timeout=timeout)
            except ConnectionRefusedError:
                pass
    for _ in range(5):
        with socket.socket(socket.AF_UNIX) as one:
            one.connect(local.listener.getsockname())
    asyncio.run(open_and_close(address))
    while tcp.taken < 25 or local.taken < 5:
        time.sleep(0.01)
    return {"taken": tcp.taken + local.taken, "refused": 8}


def own_io():
    with open("/proc/self/io") as file:
        return {key: int(value) for key, value in (line.split(": ") for line in file)}


def read_and_written():
    before = own_io()
    with tempfile.NamedTemporaryFile(dir=".") as file:
        for number in range(2_000):
            file.write(b"x" * (number % 9_000))
        file.flush()
        os.pwrite(file.fileno(), b"y" * 100_000, 5_000)
        os.writev(file.fileno(), [b"a" * 40_000, b"b" * 40_000])
        for _ in range(3):
            with open(file.name, "rb") as again:
                while again.read(65_536):
                    pass
        os.pread(file.fileno(), 100_000, 0)
    reader, writer = os.pipe()
    for _ in range(500):
        os.write(writer, b"z" * 3_000)
        os.read(reader, 3_000)
    after = own_io()
    return {key: after[key] - before[key] for key in ("rchar", "wchar")}


def mapped():
    """Bytes of the address space, without the kernel's own pages."""
    total = 0
    with open("/proc/self/maps") as file:
        for line in file:
            if not line.rstrip().endswith(("[vvar]", "[vdso]", "[vsyscall]", "[vvar_vclock]")):
                first, last = (int(part, 16) for part in line.split()[0].split("-"))
                total += last - first
    return total


def maps():
    before = mapped()
    kept = [bytearray(1_000_000 + 10_000 * number) for number in range(50)]
    del kept[::2]
    growing = bytearray()
    for _ in range(100):
        growing += b"x" * 100_000
    area = mmap.mmap(-1, 1 << 20)
    gone = mmap.mmap(-1, 1 << 21)
    gone.close()
    ready = threading.Barrier(4)
    for _ in range(3):
        threading.Thread(target=lambda: (ready.wait(), time.sleep(600)), daemon=True).start()
    ready.wait()
    small = [str(number) * 3 for number in range(300_000)]
    answer = {"grown": mapped() - before}
    HELD.extend((kept, growing, area, small))  # what ends later is not to be counted
    return answer


def waits():
    """For each call that waits, by the class that it waits in: how long it waited at least, which is
    until what it waits for was done, and at most, which is until the program looked at its clock
    again. A busy machine may keep the program from the latter for milliseconds."""
    near, far = socket.socketpair()
    reader, writer = os.pipe()
    bounds = {}
    acted = []

    def later(seconds, action):
        def act():
            acted.append(time.perf_counter())
            action()

        threading.Timer(seconds, act).start()

    def timed(name, call, least=None):
        began = time.perf_counter()
        call()
        ended = time.perf_counter()
        least = acted.pop() - began if least is None else least
        bounds.setdefault(name, []).append([least, ended - began])

    for _ in range(3):
        timed("sleep", lambda: time.sleep(0.12), 0.12)
        timed("poll", lambda: select.poll().poll(150), 0.15)
        later(0.1, lambda: far.send(b"x"))
        timed("receive", lambda: near.recv(1))
        later(0.1, lambda: os.write(writer, b"x"))
        timed("read", lambda: os.read(reader, 1))
        child = os.posix_spawn("/bin/sleep", ["sleep", "600"], {})
        later(0.1, lambda: os.kill(child, signal.SIGKILL))
        timed("child", lambda: os.waitpid(child, 0))
    return {"bounds": bounds}


DEEDS = {
    "spawns": spawns,
    "connects": connects,
    "bytes": read_and_written,
    "maps": maps,
    "waits": waits,
}

if __name__ == "__main__":
    handshake.say("PID %d" % os.getpid())
    mapped()  # what this takes for itself must not come between the attach and the first look
    handshake.start()
    handshake.say("DONE " + json.dumps(DEEDS[sys.argv[1]]()))
    handshake.hear()
    os._exit(0)
