"""An RQ worker, which forks a process for each job."""

import redis
from rq import Queue, Worker


def run(stage):
    port = stage.redis()
    connection = redis.Redis(host="127.0.0.1", port=port)
    worker = Worker([Queue("notes", connection=connection)], connection=connection)
    stage.load("rq_load", port, 2)
    stage.begin()
    worker.work(logging_level="WARNING")
