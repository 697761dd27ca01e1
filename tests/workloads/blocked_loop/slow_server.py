"""Companion: an HTTP server that answers after 300 ms."""

import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import companions

ANSWER_SECONDS = 0.3


class Slow(BaseHTTPRequestHandler):
    def do_GET(self):
        time.sleep(ANSWER_SECONDS)
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"late\n")

    def log_message(self, *_):
        pass


def main():
    companions.die_with_parent()
    server = HTTPServer(("127.0.0.1", 0), Slow)
    companions.announce("http://127.0.0.1:%d/" % server.server_address[1])
    server.serve_forever()


if __name__ == "__main__":
    main()
