"""A requests session that polls each two seconds, with a timeout."""

import requests

from audited import pace


def run(stage):
    service = stage.service("json_service")
    stage.begin()
    service.go()
    with requests.Session() as session:
        for _ in pace.every(2):
            answer = session.get("http://127.0.0.1:%s/notes" % service.announced, timeout=(3, 10))
            answer.raise_for_status()
            stage.work.did(len(answer.json()["notes"]) > 0)
