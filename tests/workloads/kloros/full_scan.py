"""kloros-3: on each cycle the capability monitor runs the full scanner and waits for it, for more
than half of the cycle; nothing else of its cycle happens meanwhile.

The audited cycle is 60 s; here it is 3 s. The remedy scans what was written since, which
`kloros.incremental` does in milliseconds.

As a program: `python -m kloros.full_scan ROOT`, the scanner.
"""

import os
import pathlib
import subprocess
import sys
import time

from audited.companion import WORKLOADS, Companion
from kloros import codebase, incremental
from kloros.analysis import undocumented

CYCLE_SECONDS = 3
# The audited code base is larger than ours: the scanner takes this long for it.
SCAN_SECONDS = 1.8


class CapabilityMonitor:
    def __init__(self, root, folder):
        self.root = root
        self.findings = os.path.join(folder, "findings.txt")
        self.cycles = 0

    def watch(self):
        while True:
            started = time.monotonic()
            self.scan()
            self.cycles += 1
            time.sleep(max(0.1, started + CYCLE_SECONDS - time.monotonic()))

    def scan(self):
        command = [sys.executable, "-m", "kloros.full_scan", str(self.root)]
        with open(self.findings, "w") as out:
            subprocess.run(command, stdout=out, cwd=WORKLOADS)  # SITE kloros-3 slow-call


def scan_all(root):
    ends = time.monotonic() + SCAN_SECONDS
    for path in sorted(root.rglob("*.py")):
        print(path.stem, *undocumented(path.read_text()))
    time.sleep(max(0, ends - time.monotonic()))


def run(folder, fixed, begin):
    root = codebase.create(folder)
    if fixed:
        monitor = incremental.IncrementalMonitor(root, CYCLE_SECONDS)
    else:
        monitor = CapabilityMonitor(root, folder)
    with Companion("kloros.codebase", root) as developer:
        begin()
        developer.go()
        monitor.watch()


if __name__ == "__main__":
    scan_all(pathlib.Path(sys.argv[1]))
