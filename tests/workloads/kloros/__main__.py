"""`python -m kloros ROW [--fixed] [--handshake]`: one fault of the kloros audit."""

from audited import command

ROWS = {
    "kloros-1": ("kloros.module_discovery", "parses every file of a code base on each cycle"),
    "kloros-2": ("kloros.performance", "keeps the report of every check: 150 MB a minute"),
    "kloros-3": ("kloros.full_scan", "waits for a full scan of the code base on each cycle"),
    "kloros-4": ("kloros.incremental", "watches a code base with what the audit recommends"),
}

if __name__ == "__main__":
    command.main("kloros", ROWS)
