"""A service that others ask: answers any request after 20 ms, with a note in JSON, on connections
that stay open. Announces its port."""

import json
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from audited import companion

ANSWER_SECONDS = 0.02
ANSWER = json.dumps({"notes": ["a note " * 10] * 50}).encode()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):
        time.sleep(ANSWER_SECONDS)
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(ANSWER)))
        self.end_headers()
        self.wfile.write(ANSWER)

    def log_message(self, *_):
        pass


def main():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    # The kernel takes connections from here on, also before it serves.
    companion.announce(server.server_address[1])
    server.serve_forever()


if __name__ == "__main__":
    main()
