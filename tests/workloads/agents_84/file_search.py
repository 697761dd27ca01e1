"""agents-3: a file agent that walks the whole workspace for every query.

The remedy is the audit's: an index, made once and told of each new file.
"""

import time
from collections import defaultdict

FOLDERS = 80
FILES_PER_FOLDER = 10
SECONDS_BETWEEN_QUERIES = 0.25
TOPICS = ("budget", "hiring", "roadmap", "incident", "research")


class ScanningFileAgent:
    def __init__(self, workspace):
        self.workspace = workspace

    def find(self, topic):
        notes = list(self.workspace.rglob("*.md"))  # SITE agents-3 directory-scan-storm
        return sorted(note for note in notes if topic in note.name)

    def add(self, note):
        """The next scan finds it."""


class IndexedFileAgent:
    def __init__(self, workspace):
        self.by_topic = defaultdict(list)
        for note in workspace.rglob("*.md"):
            self.add(note)

    def find(self, topic):
        return sorted(self.by_topic[topic])

    def add(self, note):
        self.by_topic[note.name.split("-")[0]].append(note)


def write_note(workspace, number):
    folder = workspace / ("project-%02d" % (number % FOLDERS)) / "notes"
    folder.mkdir(parents=True, exist_ok=True)
    note = folder / ("%s-%d.md" % (TOPICS[number % len(TOPICS)], number))
    note.write_text("# note %d\n" % number)
    return note


def run(session, fixed):
    workspace = session.folder / "workspace"
    notes = FOLDERS * FILES_PER_FOLDER
    for number in range(notes):
        write_note(workspace, number)
    agent = (IndexedFileAgent if fixed else ScanningFileAgent)(workspace)
    session.begin()
    query = 0
    while True:
        query += 1
        agent.find(TOPICS[query % len(TOPICS)])
        if query % 20 == 0:
            agent.add(write_note(workspace, notes + query))
        time.sleep(SECONDS_BETWEEN_QUERIES)
