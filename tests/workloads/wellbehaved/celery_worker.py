"""A Celery worker with two processes, its broker and its results in Redis."""

import os

import companions
from celery.signals import worker_process_init


@worker_process_init.connect
def end_with_worker(**_):
    companions.die_with_parent()


def run(stage):
    port = stage.redis()
    os.environ["REDIS_PORT"] = str(port)
    from wellbehaved.celery_app import app

    stage.load("celery_load", 20)
    stage.begin()
    app.worker_main(["worker", "--concurrency=2", "--loglevel=warning"])
