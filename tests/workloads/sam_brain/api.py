"""sam-brain's HTTP API: `BaseHTTPRequestHandler`, a function for each path."""

import json
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer


class ApiHandler(BaseHTTPRequestHandler):
    # A client that says nothing must not keep the server for ever.
    timeout = 30

    def do_GET(self):
        self.answer(None)

    def do_POST(self):
        length = int(self.headers.get("Content-Length", 0))
        self.answer(json.loads(self.rfile.read(length)))

    def answer(self, question):
        answer = json.dumps(self.server.routes[self.path](question)).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        """Says nothing: standard error is not a log."""


class ApiServer(HTTPServer):
    """Serves on any free port; one request after the other."""

    def __init__(self, routes):
        super().__init__(("127.0.0.1", 0), ApiHandler)
        self.routes = routes


class ThreadedApiServer(ThreadingHTTPServer):
    """The same with a thread for each request."""

    def __init__(self, routes):
        super().__init__(("127.0.0.1", 0), ApiHandler)
        self.routes = routes
