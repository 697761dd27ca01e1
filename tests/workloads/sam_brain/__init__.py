"""sam-brain: an assistant on a small machine, with the faults that its audit found by reading.

It has an HTTP API, fifteen learner threads, JSON and SQLite files, and a local model service. Each
row of the audit is a module: as audited, and with the audit's own remedy.
"""
