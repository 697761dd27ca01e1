"""Companion: the HTTP services that the agents call, each as slow as the audit found it."""

import json
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import companions

SECONDS = {"/generate": 1.4, "/search": 0.35, "/tokens": 0.04, "/feed": 0.4}


class Service(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # One packet an answer: else the delayed ACK adds 40 ms of its own.
    wbufsize = -1

    def do_GET(self):
        time.sleep(SECONDS[self.path])
        answer = json.dumps({"service": self.path, "items": list(range(20))}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    def log_message(self, *_):
        pass


def main():
    companions.die_with_parent()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
    companions.announce("http://127.0.0.1:%d" % server.server_address[1])
    server.serve_forever()


if __name__ == "__main__":
    main()
