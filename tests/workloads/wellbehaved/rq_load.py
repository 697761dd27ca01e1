"""Who has jobs for `rq_worker`: `python -m wellbehaved.rq_load PORT PER_SECOND WORK`."""

import sys

import redis
from rq import Queue

from audited import companion, pace
from wellbehaved import tasks
from wellbehaved.work import Work

RESULT_SECONDS = 60


def main():
    port, per_second = map(int, sys.argv[1:3])
    work = Work(sys.argv[3])
    queue = Queue("notes", connection=redis.Redis(host="127.0.0.1", port=port))
    companion.announce()
    jobs = []
    for number in pace.every(1 / per_second):
        jobs.append(queue.enqueue(tasks.digest, number, "a note", result_ttl=RESULT_SECONDS))
        while jobs and jobs[0].get_status() == "finished":
            jobs.pop(0)
            work.did()


if __name__ == "__main__":
    try:
        main()
    except redis.ConnectionError:
        # Redis ends before its clients do.
        sys.exit(0)
