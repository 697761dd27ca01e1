"""The users of echoes, as a program beside it: `python -m echoes.clients HOW PORT`.

`turns`: ten chat turns a second on one connection. `documents`: a document and a memory in turn,
every 1.5 s, on one connection. `crowd`: four users, each with a new connection for each question.
"""

import http.client
import json
import sys
import threading

from audited import companion, pace

TIMEOUT_SECONDS = 60
TURNS_PER_SECOND = 10
SECONDS_BETWEEN_DOCUMENTS = 1.5
USERS = 4
TEXT = "and then the thing we talked about yesterday happened again, would you believe it? "


def post(connection, path, content):
    headers = {"Content-Type": "application/json"}
    connection.request("POST", path, json.dumps(content), headers)
    response = connection.getresponse()
    answer = response.read()
    if response.status != 200:
        raise RuntimeError("%s: %d %r" % (path, response.status, answer))


def connect(port):
    return http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)


def turns(port):
    connection = connect(port)
    for number in pace.every(1 / TURNS_PER_SECOND):
        post(connection, "/chat", {"session": "kitchen", "text": "%d: %s" % (number, TEXT * 4)})


def documents(port):
    connection = connect(port)
    for number in pace.every(SECONDS_BETWEEN_DOCUMENTS):
        path = "/memories" if number % 2 else "/documents"
        post(connection, path, {"number": number, "text": TEXT})


def crowd(port):
    for number in range(USERS):
        arguments = (ask_for_ever, port, number)
        threading.Thread(target=until_it_ends, args=arguments, daemon=True).start()
    threading.Event().wait()


def ask_for_ever(port, user):
    while True:
        connection = connect(port)
        try:
            post(connection, "/chat", {"user": user, "text": TEXT})
        finally:
            connection.close()


def until_it_ends(use, *arguments):
    """The server ends before its clients do, in the middle of a request."""
    try:
        use(*arguments)
    except (ConnectionError, http.client.HTTPException):
        sys.exit(0)


if __name__ == "__main__":
    companion.announce()
    how = {"turns": turns, "documents": documents, "crowd": crowd}[sys.argv[1]]
    until_it_ends(how, int(sys.argv[2]))
