"""Who has tasks for `celery_worker`: `python -m wellbehaved.celery_load PER_SECOND WORK`."""

import sys

import kombu.exceptions
import redis

from audited import companion, pace
from wellbehaved.celery_app import digest
from wellbehaved.work import Work

RESULT_SECONDS = 30


def main():
    per_second = int(sys.argv[1])
    work = Work(sys.argv[2])
    companion.announce()
    for number in pace.every(1 / per_second):
        digest.delay(number, "a note").get(timeout=RESULT_SECONDS)
        work.did()


if __name__ == "__main__":
    try:
        main()
    except (redis.ConnectionError, kombu.exceptions.OperationalError):
        # Redis ends before its clients do.
        sys.exit(0)
