"""A Tornado server: notes in memory, a template, and a callback that tidies up each second."""

import asyncio
import collections
import json

import tornado.httpserver
import tornado.ioloop
import tornado.template
import tornado.web

KEPT = 1000
PAGE = tornado.template.Template(
    "<ul>{% for note in notes %}<li>{{ note }}</li>{% end %}</ul>"
)


class Notes(tornado.web.RequestHandler):
    def initialize(self, notes):
        self.notes = notes

    async def post(self):
        self.notes.append(json.loads(self.request.body)["text"])
        self.write({"count": len(self.notes)})

    async def get(self):
        await asyncio.sleep(0.005)
        self.write(PAGE.generate(notes=list(self.notes)[-20:]))


async def serve(listener, notes):
    def tidy():
        while len(notes) > KEPT:
            notes.popleft()

    app = tornado.web.Application([("/notes", Notes, {"notes": notes})])
    server = tornado.httpserver.HTTPServer(app)
    server.add_socket(listener)
    tornado.ioloop.PeriodicCallback(tidy, 1000).start()
    await asyncio.Event().wait()


def run(stage):
    listener = stage.listen()
    listener.setblocking(False)
    stage.load("http_load", listener.getsockname()[1], 40, 4)
    stage.begin()
    asyncio.run(serve(listener, collections.deque()))
