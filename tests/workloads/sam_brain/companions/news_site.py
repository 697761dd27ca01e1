"""Two sources of news: one that works, and one that is down: its port refuses every connection.

usage: news_site
"""

import socket
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from . import lifeline

FEED = b"<rss><channel><item><title>Rain tomorrow</title></item></channel></rss>"


class NewsHandler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(FEED)))
        self.end_headers()
        self.wfile.write(FEED)

    def log_message(self, *_):
        """Says nothing."""


def main():
    # Bound and not listening: nobody else gets the port, and who connects is refused.
    with socket.socket() as down, ThreadingHTTPServer(("127.0.0.1", 0), NewsHandler) as site:
        down.bind(("127.0.0.1", 0))
        lifeline.announce(up=site.server_port, down=down.getsockname()[1])
        lifeline.hold()
        site.serve_forever()


if __name__ == "__main__":
    main()
