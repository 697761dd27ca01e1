"""A redis-py worker: takes jobs with BLPOP from one pool and stores results with pipelines."""

import json

import redis

BLOCK_SECONDS = 5
RESULT_SECONDS = 60


def run(stage):
    port = stage.redis()
    pool = redis.BlockingConnectionPool(
        host="127.0.0.1", port=port, max_connections=4, socket_timeout=BLOCK_SECONDS * 2
    )
    client = redis.Redis(connection_pool=pool)
    stage.load("redis_load", port, 50)
    stage.begin()
    while True:
        job = client.blpop(["jobs"], timeout=BLOCK_SECONDS)
        if job is not None:
            handle(client, json.loads(job[1]))


def handle(client, job):
    words = job["text"].split()
    with client.pipeline() as pipeline:
        pipeline.set("result:%d" % job["number"], len(words), ex=RESULT_SECONDS)
        pipeline.incrby("words", len(words))
        pipeline.rpush("done", job["number"])
        pipeline.execute()
