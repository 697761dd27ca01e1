"""APScheduler: one job each second, another each two, on its pool of threads."""

import hashlib

from apscheduler.schedulers.blocking import BlockingScheduler


def run(stage):
    state = {"digest": b""}

    def tick():
        for _ in range(1000):
            state["digest"] = hashlib.sha256(state["digest"]).digest()
        stage.work.did()

    def report():
        (stage.folder / "report").write_text(state["digest"].hex())

    scheduler = BlockingScheduler(timezone="UTC")
    scheduler.add_job(tick, "interval", seconds=1)
    scheduler.add_job(report, "interval", seconds=2)
    stage.begin()
    scheduler.start()
