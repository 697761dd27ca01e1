"""aios-4: the knowledge index is a JSONL file that every look-up reads from its first line on.

The remedy keeps the parsed entries for as long as the file has the same size and time.
"""

import json
import os

from audited import pace

ENTRIES = 2000
LOOK_UPS_PER_SECOND = 4
TOPICS = ("calendar", "billing", "deploy", "travel", "review", "garden", "budget", "health")


def write_index(path):
    """2,000 entries, about 500 KB."""
    with open(path, "w") as index:
        for number in range(ENTRIES):
            topic = TOPICS[number % len(TOPICS)]
            text = "%s note %d: " % (topic, number) + "what was decided and why. " * 8
            index.write(json.dumps({"id": number, "topic": topic, "text": text}) + "\n")


class Knowledge:
    def __init__(self, path):
        self.path = path

    def look_up(self, topic):
        return [entry["text"] for entry in self.entries() if entry["topic"] == topic]

    def entries(self):
        entries = []
        with open(self.path) as index:
            for line in index:  # SITE aios-4 repeated-read
                entries.append(json.loads(line))
        return entries


class RememberedKnowledge(Knowledge):
    """Reads the index again only when it has changed."""

    def __init__(self, path):
        super().__init__(path)
        self.version = None
        self.remembered = []

    def entries(self):
        status = os.stat(self.path)
        version = (status.st_mtime_ns, status.st_size)
        if version != self.version:
            self.remembered = super().entries()
            self.version = version
        return self.remembered


def run(folder, fixed, begin):
    path = os.path.join(folder, "knowledge.jsonl")
    write_index(path)
    knowledge = RememberedKnowledge(path) if fixed else Knowledge(path)
    begin()
    for number in pace.every(1 / LOOK_UPS_PER_SECOND):
        knowledge.look_up(TOPICS[number % len(TOPICS)])
