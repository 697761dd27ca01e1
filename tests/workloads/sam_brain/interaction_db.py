"""sam-6: every query opens the database, and the journal is a file that comes and goes.

Fifty queries a second: 3,000 connections a minute, each of which reads the schema again.

Remedy: one connection for the thread, and a write-ahead log.
"""

import sqlite3

from .pace import every

SECONDS_PER_ROUND = 0.5
QUERIES_PER_ROUND = 24

CREATE = "CREATE TABLE IF NOT EXISTS interactions (id INTEGER PRIMARY KEY, topic TEXT, rating REAL)"
INSERT = "INSERT INTO interactions (topic, rating) VALUES (?, ?)"
SELECT = "SELECT COUNT(*), AVG(rating) FROM interactions WHERE topic = ? AND id > ?"


class InteractionDb:
    def __init__(self, path):
        self.path = path

    def query(self, statement, arguments=()):
        connection = sqlite3.connect(self.path)  # SITE sam-6 connection-churn
        try:
            with connection:
                return connection.execute(statement, arguments).fetchall()
        finally:
            connection.close()


class KeptInteractionDb:
    """The same with one connection, for one thread."""

    def __init__(self, path):
        self.connection = sqlite3.connect(path)
        self.connection.execute("PRAGMA journal_mode = WAL")
        self.connection.execute("PRAGMA synchronous = NORMAL")

    def query(self, statement, arguments=()):
        with self.connection:
            return self.connection.execute(statement, arguments).fetchall()


class PreferenceLearner:
    def __init__(self, db):
        self.db = db
        self.liking = {}

    def round(self, number):
        self.db.query(INSERT, ("topic-%d" % (number % QUERIES_PER_ROUND), number % 5))
        for topic in range(QUERIES_PER_ROUND):
            name = "topic-%d" % topic
            count, mean = self.db.query(SELECT, (name, number - 1000))[0]
            self.liking[name] = (mean or 0) * min(1, count / 10)


def prepare(home, fixed):
    path = str(home / "interactions.db")
    InteractionDb(path).query(CREATE)

    def work():
        learner = PreferenceLearner((KeptInteractionDb if fixed else InteractionDb)(path))
        for number in every(SECONDS_PER_ROUND):
            learner.round(number)

    return work
