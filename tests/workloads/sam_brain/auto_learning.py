"""sam-14: the database of what was learnt lies beside the settings, on the small system disk.

It belongs into `data/`, which is the large disk. A learning session opens it, writes what it learnt
and closes it; there is one every 5 s (in the audit: every few minutes).

Remedy: the path.
"""

import sqlite3
from contextlib import closing

from .pace import every

SECONDS_PER_SESSION = 5
CREATE = "CREATE TABLE IF NOT EXISTS learnt (session INTEGER, topic TEXT)"


class AutoLearning:
    def __init__(self, folder):
        self.path = str(folder / "auto_learning.db")

    def session(self, number):
        connection = sqlite3.connect(self.path)  # SITE sam-14 misplaced-file
        with closing(connection), connection:
            connection.execute(CREATE)
            rows = [(number, "topic-%d" % topic) for topic in range(5)]
            connection.executemany("INSERT INTO learnt VALUES (?, ?)", rows)


def prepare(home, fixed):
    folder = home / "data" / "sam" if fixed else home / ".sam"
    folder.mkdir(parents=True)

    def work():
        learning = AutoLearning(folder)
        for number in every(SECONDS_PER_SESSION):
            learning.session(number)

    return work
