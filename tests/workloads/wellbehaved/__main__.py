"""`python -m wellbehaved NAME [--handshake]`: one program that does nothing wrong, under load.

With the handshake it prints READY, begins when told `go`, says `WORK N` then and whenever it is asked
by `count`, and ends with its standard input. Its last line is `DONE N`: how much work was done in all.
"""

import argparse
import importlib
import os

from session import Session
from wellbehaved.stage import Stage

PROGRAMS = {
    "aiohttp_proxy": "an aiohttp server that asks another one with one client session",
    "apscheduler_ticks": "APScheduler with jobs each second and each two seconds",
    "black_check": "black over files of the standard library",
    "celery_worker": "a Celery worker with two processes and its broker in Redis",
    "django_waitress": "Django under waitress, its SQLite connections persistent",
    "fastapi_notes": "FastAPI under uvicorn with one SQLite connection in WAL mode",
    "flask_sync": "Flask under gunicorn with two sync workers",
    "flask_threads": "Flask under gunicorn with a worker of four threads and keep-alive",
    "httpx_client": "an httpx client that asks over connections that stay open",
    "mkdocs_build": "MkDocs building a site of many pages",
    "mypy_check": "mypy over modules of the standard library",
    "pandas_files": "a pandas job over many files, each read once",
    "pillow_thumbnails": "Pillow making thumbnails, each image read once",
    "pytest_suite": "pytest running tests that numpy brings along",
    "redis_worker": "a redis-py worker with a connection pool, BLPOP and pipelines",
    "requests_poller": "a requests session that polls each two seconds, with a timeout",
    "rq_worker": "an RQ worker that forks for each job",
    "sklearn_training": "scikit-learn fitting models again and again",
    "sqlalchemy_jobs": "threads that share an SQLAlchemy pool of SQLite connections",
    "tornado_notes": "a Tornado server with a periodic callback",
    "watchdog_observer": "a watchdog observer that reads files as they change",
    "websockets_feed": "a websockets server whose clients mostly listen",
}


def main():
    arguments = parse()
    program = importlib.import_module("wellbehaved." + arguments.name)
    title = "%s: %s" % (arguments.name, PROGRAMS[arguments.name])
    with Session(title, arguments.handshake) as session:
        stage = Stage(session)
        try:
            program.run(stage)
        except SystemExit:
            # How some of them end by themselves.
            pass
        finally:
            stage.tell_work()
    # Threads of the frameworks may still wait for something.
    os._exit(0)


def parse():
    listing = "\n".join("  %-18s %s" % entry for entry in PROGRAMS.items())
    parser = argparse.ArgumentParser(
        prog="python -m wellbehaved",
        description="A program from the package registry that does nothing wrong, under load.",
        epilog="programs:\n" + listing,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", metavar="NAME", choices=list(PROGRAMS), help="one of those below")
    parser.add_argument("--handshake", action="store_true", help="wait for `go`, end with stdin")
    return parser.parse_args()


if __name__ == "__main__":
    main()
