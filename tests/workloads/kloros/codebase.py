"""The code base that the monitors look at, and the developer who goes on editing it.

As a program: `python -m kloros.codebase ROOT`, the developer.
"""

import pathlib
import sys

from audited import companion, pace

PACKAGES = 40
MODULES = 13
EDITS_PER_SECOND = 2

SKILL = '''"""Skill {number} of {package}, revision {revision}."""

import json

LIMIT = {number}


class Skill{number}:
    def __init__(self, store):
        self.store = store
        self.seen = {{}}

    def run(self, request):
        """Answers one request."""
        key = json.dumps(request, sort_keys=True)
        if key in self.seen and len(self.seen) < LIMIT:
            return self.seen[key]
        self.seen[key] = answer = self.store.get(key)
        return answer

    def forget(self):
        self.seen.clear()


def register(registry, store):
    registry.add("{package}.skill_{number}", Skill{number}(store))
'''


def create(folder):
    """Writes 40 packages of 13 modules, 520 files, and gives their root."""
    root = pathlib.Path(folder, "src")
    for path in modules(root):
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, revision=0)
    return root


def modules(root):
    return [
        root / ("package_%02d" % package) / ("skill_%d.py" % number)
        for package in range(PACKAGES)
        for number in range(MODULES)
    ]


def write(path, revision):
    number = path.stem.split("_")[1]
    text = SKILL.format(number=number, package=path.parent.name, revision=revision)
    path.write_text(text)


def edit(root):
    paths = modules(root)
    for revision in pace.every(1 / EDITS_PER_SECOND):
        write(paths[revision * 7 % len(paths)], revision + 1)


if __name__ == "__main__":
    companion.announce()
    edit(pathlib.Path(sys.argv[1]))
