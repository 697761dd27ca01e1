"""echoes-4: each turn parses the persona, the tools, the household and the preferences anew, and
they have not changed since the last one.

The remedy keeps what was parsed for as long as the file has the same size and time.
"""

import json
import os
import pathlib

from audited import pace

TURNS_PER_SECOND = 5
DOCUMENTS = ("persona", "tools", "household", "preferences")
SECTIONS = 120


class Settings:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder, "settings")

    def of_turn(self):
        return {name: self.load(self.folder / (name + ".json")) for name in DOCUMENTS}

    def load(self, path):
        return json.loads(path.read_text())  # SITE echoes-4 repeated-read


class RememberedSettings(Settings):
    def __init__(self, folder):
        super().__init__(folder)
        self.remembered = {}

    def load(self, path):
        status = os.stat(str(path))
        version = (status.st_mtime_ns, status.st_size)
        if self.remembered.get(path, (None,))[0] != version:
            self.remembered[path] = (version, super().load(path))
        return self.remembered[path][1]


def write_documents(folder):
    """Four files of about 20 KB."""
    folder.mkdir()
    for name in DOCUMENTS:
        sections = {
            "section %d" % number: "what %s says about the matter. " % name * 4
            for number in range(SECTIONS)
        }
        (folder / (name + ".json")).write_text(json.dumps({"name": name, "sections": sections}))


def run(folder, fixed, begin):
    settings = (RememberedSettings if fixed else Settings)(folder)
    write_documents(settings.folder)
    begin()
    for _ in pace.every(1 / TURNS_PER_SECOND):
        settings.of_turn()
