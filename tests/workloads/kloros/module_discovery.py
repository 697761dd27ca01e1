"""kloros-1: on each cycle the module monitor lists the whole code base anew and parses each of its
520 files, though a developer has changed two or three.

The audited cycle is 60 s; here it is 2 s. The remedy is `kloros.incremental`: inotify says which
files were written.
"""

import time

from audited.companion import Companion
from kloros import codebase, incremental
from kloros.analysis import undocumented

CYCLE_SECONDS = 2


class ModuleDiscoveryMonitor:
    def __init__(self, root):
        self.root = root
        self.gaps = {}

    def watch(self):
        while True:
            started = time.monotonic()
            self.scan()
            time.sleep(max(0.1, started + CYCLE_SECONDS - time.monotonic()))

    def scan(self):
        paths = list(self.root.rglob("*.py"))  # SITE kloros-1 directory-scan-storm
        for path in paths:
            source = path.read_text()  # SITE kloros-1 repeated-read
            self.gaps[path] = undocumented(source)


def run(folder, fixed, begin):
    root = codebase.create(folder)
    if fixed:
        monitor = incremental.IncrementalMonitor(root, CYCLE_SECONDS)
    else:
        monitor = ModuleDiscoveryMonitor(root)
    with Companion("kloros.codebase", root) as developer:
        begin()
        developer.go()
        monitor.watch()
