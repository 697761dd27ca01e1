"""echoes-5: embeddings are cached in a dict without a bound, and the key has the time of the turn
in it, so that nothing in it is ever asked for again: 72 MB a minute.

The remedy bounds the cache, least recently used first out.
"""

import collections
import hashlib
import time

from audited import pace

TURNS_PER_ROUND = 5
ROUNDS_PER_SECOND = 5
VECTOR_BYTES = 48000
KEPT_VECTORS = 64


class Embedder:
    def __init__(self):
        self.vectors = {}

    def embed(self, prompt):
        if prompt not in self.vectors:
            self.vectors[prompt] = self.compute(prompt)
        return self.vectors[prompt]

    def compute(self, prompt):
        state = hashlib.shake_128(prompt.encode())
        return state.digest(VECTOR_BYTES)  # SITE echoes-5 memory-growth


class BoundedEmbedder(Embedder):
    def __init__(self):
        self.vectors = collections.OrderedDict()

    def embed(self, prompt):
        while len(self.vectors) >= KEPT_VECTORS:
            self.vectors.popitem(last=False)
        vector = super().embed(prompt)
        self.vectors.move_to_end(prompt)
        return vector


def run(folder, fixed, begin):
    embedder = BoundedEmbedder() if fixed else Embedder()
    begin()
    for number in pace.every(1 / ROUNDS_PER_SECOND):
        for turn in range(TURNS_PER_ROUND):
            embedder.embed("at %r turn %d of round %d" % (time.time(), turn, number))
