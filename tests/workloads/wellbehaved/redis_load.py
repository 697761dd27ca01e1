"""Who has work for `redis_worker`: `python -m wellbehaved.redis_load PORT PER_SECOND WORK`."""

import json
import sys

import redis

from audited import companion, pace
from wellbehaved.work import Work


def main():
    port, per_second = map(int, sys.argv[1:3])
    work = Work(sys.argv[3])
    client = redis.Redis(host="127.0.0.1", port=port, socket_timeout=30)
    companion.announce()
    for number in pace.every(1 / per_second):
        client.rpush("jobs", json.dumps({"number": number, "text": "count these words " * 20}))
        work.did(len(client.lpop("done", 100) or ()))


if __name__ == "__main__":
    try:
        main()
    except redis.ConnectionError:
        # Redis ends before its clients do.
        sys.exit(0)
