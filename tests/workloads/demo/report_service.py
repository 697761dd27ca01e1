"""A report service that loses descriptors the way real services do.

Twice a second it handles a request: it reads its settings, writes a report and hands it to
a mail relay. Three things go wrong, each on a line of its own, none of them fatal for days:

* the report's file is kept open in a history "so that it can be sent again";
* the connection to the relay is never closed;
* the settings file is closed only when the garbage collector finds it.

`log_request` does it right, to show that it is not accused.
The service ends when its standard input does.
"""

import json
import os
import socket
import sys
import tempfile
import threading

REQUESTS_PER_SECOND = 2


class MailRelay(threading.Thread):
    """The other end: accepts reports and keeps the connections, as a relay would."""

    def __init__(self):
        super().__init__(name="mail-relay", daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = self.listener.getsockname()
        self.peers = []

    def run(self):
        while True:
            connection, _ = self.listener.accept()
            self.peers.append(connection)


class ReportService:
    def __init__(self, folder, relay_address):
        self.folder = folder
        self.relay_address = relay_address
        self.history = []
        self.deliveries = []

    def handle_request(self, number):
        settings = self.load_settings()
        report = self.render(number, settings["title"])
        self.deliver(report)
        self.log_request(number)

    def load_settings(self):
        return json.load(open(os.path.join(self.folder, "settings.json")))  # leaks: closed by chance

    def render(self, number, title):
        report = self.open_report(number)
        report.write("%s %d\n" % (title, number))
        report.flush()
        self.history.append(report)
        return report.name

    def open_report(self, number):
        path = os.path.join(self.folder, "report-%d.txt" % number)
        return open(path, "w")  # leaks: render() keeps it

    def deliver(self, report):
        relay = socket.create_connection(self.relay_address)  # leaks: never closed
        relay.sendall(report.encode() + b"\n")
        self.deliveries.append(relay)

    def log_request(self, number):
        with open(os.path.join(self.folder, "requests.log"), "a") as log:
            log.write("request %d\n" % number)


def serve(folder, stopped):
    with open(os.path.join(folder, "settings.json"), "w") as settings:
        json.dump({"title": "Report"}, settings)
    relay = MailRelay()
    relay.start()
    service = ReportService(folder, relay.address)
    print("READY", flush=True)
    number = 0
    while not stopped.wait(1 / REQUESTS_PER_SECOND):
        number += 1
        service.handle_request(number)


def main():
    stopped = threading.Event()

    def watch_stdin():
        sys.stdin.read()
        stopped.set()

    threading.Thread(target=watch_stdin, name="stdin", daemon=True).start()
    with tempfile.TemporaryDirectory(prefix="report-service-") as folder:
        serve(folder, stopped)


if __name__ == "__main__":
    main()
