"""agents-5: every request makes its own Redis connection, and waits for its handshake.

The remedy is the audit's: one client for the process, whose pool keeps the connections.
"""

import time
from contextlib import contextmanager

import redis

SECONDS_BETWEEN_REQUESTS = 0.2
TIMEOUT_SECONDS = 5


class ConnectionPerRequest:
    def __init__(self, connect):
        self.connect = connect

    @contextmanager
    def client(self):
        client = self.connect()
        try:
            yield client
        finally:
            client.close()


class SharedConnection:
    def __init__(self, connect):
        self.shared = connect()
        self.shared.ping()

    @contextmanager
    def client(self):
        yield self.shared


class AgentState:
    def __init__(self, connections):
        self.connections = connections

    def record_step(self, agent, step):
        with self.connections.client() as client:
            state = client.hgetall(agent)  # SITE agents-5 connection-churn
            steps = int(state.get(b"steps", 0)) + 1
            client.hset(agent, mapping={"steps": steps, "last": step})


def run(session, fixed):
    port = int(session.start_companion("agents_84.redis_gateway", session.folder))

    def connect():
        return redis.Redis("127.0.0.1", port, socket_timeout=TIMEOUT_SECONDS)

    state = AgentState((SharedConnection if fixed else ConnectionPerRequest)(connect))
    session.begin()
    request = 0
    due = time.monotonic()
    while True:
        request += 1
        state.record_step("agent-%d" % (request % 84), "request %d" % request)
        due += SECONDS_BETWEEN_REQUESTS
        time.sleep(max(0, due - time.monotonic()))
