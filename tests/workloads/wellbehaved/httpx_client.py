"""An httpx client: fifteen questions a second over connections that stay open."""

import httpx

from audited import pace


def run(stage):
    service = stage.service("json_service")
    with httpx.Client(base_url="http://127.0.0.1:" + service.announced, timeout=10) as client:
        stage.begin()
        service.go()
        for _ in pace.every(1 / 15):
            client.get("/notes").raise_for_status().json()
            stage.work.did()
