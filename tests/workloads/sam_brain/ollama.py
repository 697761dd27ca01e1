"""The local model service, as sam-brain speaks to it: JSON by HTTP."""

import json
from http.client import HTTPConnection
from urllib.request import Request

JSON = {"Content-Type": "application/json"}


def post(port, endpoint, **question):
    """A request for `urlopen`."""
    url = "http://127.0.0.1:%d/api/%s" % (port, endpoint)
    return Request(url, data=json.dumps(question).encode(), headers=JSON)


class KeptConnection:
    """One connection for all requests of a thread, and a timeout on each of them."""

    def __init__(self, port, timeout):
        self.connection = HTTPConnection("127.0.0.1", port, timeout=timeout)

    def post(self, endpoint, **question):
        return self.ask("POST", endpoint, json.dumps(question).encode())

    def get(self, endpoint):
        return self.ask("GET", endpoint, None)

    def ask(self, method, endpoint, body):
        self.connection.request(method, "/api/" + endpoint, body, JSON)
        with self.connection.getresponse() as reply:
            return json.loads(reply.read())
