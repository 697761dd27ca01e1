"""The users of a server: `python -m wellbehaved.http_load PORT PER_SECOND CONNECTIONS WORK`.

Half of the requests post a note, half read what there is, in turn over connections that stay open
for as long as the server lets them.
"""

import http.client
import json
import sys

from audited import companion, pace
from wellbehaved.listening import until_it_listens
from wellbehaved.work import Work

TIMEOUT_SECONDS = 30
TEXT = "a note that somebody wrote down, to be read by somebody else "


def main():
    port, per_second, connections = map(int, sys.argv[1:4])
    work = Work(sys.argv[4])
    companion.announce()
    until_it_listens(port)
    users = [connect(port) for _ in range(connections)]
    for number in pace.every(1 / per_second):
        ask(users[number // 2 % connections], number)
        work.did()


def connect(port):
    return http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)


def ask(user, number):
    if number % 2:
        user.request("GET", "/notes")
    else:
        headers = {"Content-Type": "application/json"}
        user.request("POST", "/notes", json.dumps({"text": TEXT + str(number)}), headers)
    response = user.getresponse()
    answer = response.read()
    if response.status != 200:
        raise RuntimeError("%d %r" % (response.status, answer[:300]))


if __name__ == "__main__":
    try:
        main()
    except (ConnectionError, http.client.HTTPException):
        # The server ends before its users do.
        sys.exit(0)
