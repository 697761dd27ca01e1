"""`python -m echoes ROW [--fixed] [--handshake]`: one fault of the echoes audit."""

from audited import command

ROWS = {
    "echoes-1": ("echoes.logs", "logs prompts and events to files that nobody rotates"),
    "echoes-2": ("echoes.sessions", "writes the session file on the event loop, on every request"),
    "echoes-3": ("echoes.activity", "flushes each of 150 log statements a second"),
    "echoes-4": ("echoes.settings", "parses four unchanged JSON files on each turn"),
    "echoes-5": ("echoes.embeddings", "caches embeddings under keys that never come again"),
    "echoes-6": ("echoes.index", "writes a large index and a large pickle inside of requests"),
    "echoes-7": ("echoes.chat", "asks its model on the event loop of its only worker"),
}

if __name__ == "__main__":
    command.main("echoes", ROWS)
