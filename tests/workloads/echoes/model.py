"""The model server, as a program beside echoes: `python -m echoes.model` announces its port.

It thinks for a second about each question, and about many of them at a time.
"""

import http.server
import json
import time

from audited import companion

THINKING_SECONDS = 1


class Generate(http.server.BaseHTTPRequestHandler):
    # Connections stay open, for clients that pool them.
    protocol_version = "HTTP/1.1"
    # Headers and body go out together: apart, the body waits for an acknowledgement of the headers.
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_POST(self):
        question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        time.sleep(THINKING_SECONDS)
        answer = json.dumps({"text": "about " + question["prompt"][:40]}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        """Says nothing: its output is the announcement alone."""


if __name__ == "__main__":
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Generate)
    companion.announce(str(server.server_address[1]))
    server.serve_forever()
