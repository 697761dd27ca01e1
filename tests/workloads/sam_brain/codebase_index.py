"""sam-12: to know its own code, the assistant walks all of it again and again.

The audit has this every hour over a tree that takes seconds to minutes; here it is every 3 s over
400 folders of five modules, which somebody works on meanwhile.

Remedy: one walk at the start; from then on inotify tells which modules change.
"""

import os

from .codebase_watch import CodebaseWatch
from .companion import Companion
from .pace import every

PACKAGES = 20
FOLDERS_PER_PACKAGE = 20
MODULES_PER_FOLDER = 5
SECONDS_PER_LOOK = 3


class CodebaseIndex:
    """The modules of the codebase, and when each was changed."""

    def __init__(self, root):
        self.root = root
        self.changed = {}

    def update(self):
        modules = list(self.root.rglob("*.py"))  # SITE sam-12 directory-scan-storm
        self.changed = {str(module): module.stat().st_mtime for module in modules}


class WatchedCodebaseIndex(CodebaseIndex):
    def __init__(self, root):
        super().__init__(root)
        self.watch = CodebaseWatch()
        for folder, _, names in os.walk(root):
            # Watched before it is read: what changes in between is seen twice, not never.
            self.watch.add(folder)
            self.see(os.path.join(folder, name) for name in names)

    def update(self):
        self.see(self.watch.changes())

    def see(self, paths):
        for path in paths:
            if path.endswith(".py"):
                self.changed[path] = os.stat(path).st_mtime


def write_codebase(root):
    for package in range(PACKAGES):
        for folder in range(FOLDERS_PER_PACKAGE):
            place = root / ("package_%d" % package) / ("part_%d" % folder)
            place.mkdir(parents=True)
            for module in range(MODULES_PER_FOLDER):
                (place / ("module_%d.py" % module)).write_text("VALUE = %d\n" % module)


def prepare(home, fixed):
    root = home / "codebase"
    write_codebase(root)
    developer = Companion("developer", root)

    def work():
        index = (WatchedCodebaseIndex if fixed else CodebaseIndex)(root)
        developer.go()
        for _ in every(SECONDS_PER_LOOK):
            index.update()

    return work
