"""echoes-6: a new document rewrites the whole vector index on the event loop; a new memory pickles
the whole archive in the thread of its request. Both are written through to the disk.

The remedy is an index in shards: a request hands the one shard that it has changed to one thread
in the background, which writes it in less than 10 ms. A shard is replaced whole, so the kernel
may choose when it reaches the disk.
"""

import asyncio
import concurrent.futures
import os
import pathlib
import pickle

from fastapi import Body, FastAPI

from audited.companion import Companion
from echoes import server

INDEX_BYTES = 256 << 20
ARCHIVE_BYTES = 192 << 20
SHARD_BYTES = 64 << 10


def durable(path, flags):
    """Opens so that what was written is on the disk when the write returns."""
    return os.open(path, flags | os.O_DSYNC, 0o600)


class Vectors:
    """A block of vectors, and the file that it is kept in."""

    def __init__(self, path, size):
        self.path = path
        self.content = bytearray(os.urandom(1 << 20) * (size >> 20))

    def put(self, number, text):
        at = number * SHARD_BYTES % len(self.content)
        self.content[at : at + 8] = text.encode()[:8].ljust(8)
        return at

    def save_index(self):
        with open(str(self.path), "wb", buffering=0, opener=durable) as target:
            target.write(self.content)  # SITE echoes-6 event-loop-blocked

    def save_pickle(self):
        with open(str(self.path), "wb", opener=durable) as target:
            pickle.dump(self.content, target, protocol=5)  # SITE echoes-6 slow-call


class Writer:
    """Writes the shards that have changed, in a thread of its own."""

    def __init__(self, folder):
        self.folder = folder
        self.pool = concurrent.futures.ThreadPoolExecutor(1, "shard-writer")

    async def save(self, vectors, at):
        shard = bytes(vectors.content[at : at + SHARD_BYTES])
        path = self.folder / ("%s-%d" % (vectors.path.name, at // SHARD_BYTES))
        await asyncio.get_running_loop().run_in_executor(self.pool, self.write, path, shard)

    def write(self, path, shard):
        new = path.with_suffix(".new")
        new.write_bytes(shard)
        os.replace(str(new), str(path))


def application(index, archive, writer):
    app = FastAPI()

    if writer:

        @app.post("/documents")
        async def add_document(document: dict = Body(...)):
            await writer.save(index, index.put(document["number"], document["text"]))

        @app.post("/memories")
        async def add_memory(memory: dict = Body(...)):
            await writer.save(archive, archive.put(memory["number"], memory["text"]))

    else:

        @app.post("/documents")
        async def add_document(document: dict = Body(...)):
            index.put(document["number"], document["text"])
            index.save_index()

        # Not `async`, so FastAPI calls it in a thread.
        @app.post("/memories")
        def add_memory(memory: dict = Body(...)):
            archive.put(memory["number"], memory["text"])
            archive.save_pickle()

    return app


def run(folder, fixed, begin):
    folder = pathlib.Path(folder)
    index = Vectors(folder / "index.bin", INDEX_BYTES)
    archive = Vectors(folder / "memories.pickle", ARCHIVE_BYTES)
    app = application(index, archive, Writer(folder) if fixed else None)
    with server.listen() as listener:
        with Companion("echoes.clients", "documents", server.port_of(listener)) as users:
            begin()
            users.go()
            server.serve(app, listener)
