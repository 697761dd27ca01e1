"""`python -m aios ROW [--fixed] [--handshake]`: one fault of the aios audit."""

from audited import command

ROWS = {
    "aios-1": ("aios.overview", "describes a workspace by five recursive globs of one tree"),
    "aios-2": ("aios.agent", "answers five messages a second, each in an event loop of its own"),
    "aios-3": ("aios.worker", "waits for jobs by looking at a queue every 10 ms"),
    "aios-4": ("aios.knowledge", "reads its whole index for every one of four look-ups a second"),
    "aios-5": ("aios.memory", "rewrites its whole memory for every one of five stores a second"),
}

if __name__ == "__main__":
    command.main("aios", ROWS)
