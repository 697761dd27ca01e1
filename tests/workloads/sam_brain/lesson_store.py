"""sam-5: a lesson is looked up between SQLite's connect() and close(), without try/finally.

Two of three lessons were cut off when the disk was full. What reads them raises; the learner keeps
the exception for its evening report, the exception keeps the frame, and the frame the connection.

Remedy: `contextlib.closing`, which is a try/finally.
"""

import json
import sqlite3
from contextlib import closing

from .pace import every

SECONDS_PER_LESSON = 0.5
LESSONS = 300


class LessonStore:
    def __init__(self, path):
        self.path = path

    def create(self):
        with closing(sqlite3.connect(self.path)) as connection:
            connection.execute("CREATE TABLE lessons (id INTEGER PRIMARY KEY, content TEXT)")
            rows = [(number, content_of(number)) for number in range(LESSONS)]
            connection.executemany("INSERT INTO lessons VALUES (?, ?)", rows)
            connection.commit()

    def lesson(self, number):
        connection = sqlite3.connect(self.path)  # SITE sam-5 fd-leak
        lesson = self.look_up(connection, number)
        connection.close()
        return lesson

    def look_up(self, connection, number):
        query = "SELECT content FROM lessons WHERE id = ?"
        rows = connection.execute(query, (number % LESSONS,)).fetchall()
        return json.loads(rows[0][0])


class ClosingLessonStore(LessonStore):
    def lesson(self, number):
        with closing(sqlite3.connect(self.path)) as connection:
            return self.look_up(connection, number)


class Learner:
    def __init__(self, store):
        self.store = store
        self.learnt = 0
        self.failures = []

    def learn(self, number):
        try:
            self.store.lesson(number)
            self.learnt += 1
        except ValueError as error:
            self.failures.append(error)


def content_of(number):
    content = json.dumps({"lesson": number, "text": "Bins go out on Tuesday."})
    return content if number % 3 == 0 else content[:20]


def prepare(home, fixed):
    store = (ClosingLessonStore if fixed else LessonStore)(str(home / "lessons.db"))
    store.create()

    def work():
        learner = Learner(store)
        for number in every(SECONDS_PER_LESSON):
            learner.learn(number)

    return work
