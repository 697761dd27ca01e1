"""echoes-1: the transcript and the event log only ever grow. The settings have a size to rotate at
and a number of files to keep, and nothing reads them.

The remedy is the handler that does.
"""

import logging
import logging.handlers
import os

from audited import pace

# Production has 10 MB here; smaller, so that a rotation is seen in half a minute.
SETTINGS = {"log_max_bytes": 50000, "log_backup_count": 3}
TURNS_PER_SECOND = 5
PROMPT = "You are the assistant of this household. What you know of it: " * 80


def handler(folder, name, rotating):
    path = os.path.join(folder, name)
    if not rotating:
        return logging.FileHandler(path)
    return logging.handlers.RotatingFileHandler(
        path, maxBytes=SETTINGS["log_max_bytes"], backupCount=SETTINGS["log_backup_count"]
    )


class Assistant:
    def __init__(self, folder, rotating):
        self.transcript = self.logger(folder, "transcript.log", rotating)
        self.events = self.logger(folder, "events.log", rotating)

    def logger(self, folder, name, rotating):
        logger = logging.getLogger("echoes." + name)
        logger.setLevel(logging.INFO)
        logger.propagate = False
        added = handler(folder, name, rotating)
        added.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        logger.addHandler(added)
        return logger

    def turn(self, number):
        self.transcript.info("turn %d: %s", number, PROMPT)  # SITE echoes-1 unbounded-append 1
        steps = ["step %d of turn %d took %d ms" % (step, number, step * 7) for step in range(60)]
        self.events.info("; ".join(steps))  # SITE echoes-1 unbounded-append 2


def run(folder, fixed, begin):
    assistant = Assistant(folder, rotating=fixed)
    begin()
    for number in pace.every(1 / TURNS_PER_SECOND):
        assistant.turn(number)
