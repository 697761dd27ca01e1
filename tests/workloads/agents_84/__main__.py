"""Runs the part of the system that one row of the audit is about.

The rows, their audit's words and what a profiler must find are in rows.toml.
"""

import argparse
import importlib

from session import Session

ROWS = {
    "agents-1": ("research_agent", "answers questions by remote calls of 1.4 s, 350 ms and 40 ms"),
    "agents-2": ("model_runner", "loads a model at start and again at every reload"),
    "agents-3": ("file_search", "answers file queries four times a second"),
    "agents-4": ("screen_agent", "takes screenshots on an event loop"),
    "agents-5": ("agent_state", "keeps the state of agents in Redis, five requests a second"),
    "agents-6": ("prompt_cache", "caches the prompts that it renders"),
    "agents-7": ("feed_agents", "polls feeds from async agents"),
    "agents-8": ("agent_journal", "writes the log of 40 agents"),
    "agents-9": ("browser_agent", "visits pages with a browser of its own for each"),
}


def arguments():
    rows = "\n".join("  %s  %s" % (row, about) for row, (_, about) in ROWS.items())
    parser = argparse.ArgumentParser(
        prog="python -m agents_84",
        description=__doc__,
        epilog="rows:\n" + rows,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("row", metavar="ROW")
    parser.add_argument("--fixed", action="store_true", help="with the audit's own remedy")
    parser.add_argument("--handshake", action="store_true", help="speak handshake.py's protocol")
    chosen = parser.parse_args()
    if chosen.row not in ROWS:
        parser.error("there is no row %r; --help lists them" % chosen.row)
    return chosen


def main():
    chosen = arguments()
    module, about = ROWS[chosen.row]
    part = importlib.import_module("agents_84." + module)
    variant = "as remedied" if chosen.fixed else "as audited"
    title = "%s, %s: %s" % (chosen.row, variant, about)
    with Session(title, chosen.handshake) as session:
        part.run(session, chosen.fixed)


if __name__ == "__main__":
    main()
