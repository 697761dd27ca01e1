"""The Celery application of `celery_worker`; `REDIS_PORT` says where its broker is."""

import os

from celery import Celery

from wellbehaved import tasks

URL = "redis://127.0.0.1:%s/0" % os.environ["REDIS_PORT"]

app = Celery("notes", broker=URL, backend=URL)
app.conf.update(result_expires=60, worker_hijack_root_logger=False)
# Standard output is for the line protocol.
app.conf.worker_redirect_stdouts = False

digest = app.task(tasks.digest, name="digest")
