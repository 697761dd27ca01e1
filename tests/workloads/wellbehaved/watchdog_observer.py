"""A watchdog observer that reads files as they change."""

import threading

from watchdog.events import FileSystemEventHandler
from watchdog.observers import Observer


class Reader(FileSystemEventHandler):
    def __init__(self, work):
        self.work = work
        self.lengths = {}

    def on_closed(self, event):
        with open(event.src_path, encoding="utf-8") as file:
            self.lengths[event.src_path] = len(file.read())
        self.work.did()


def run(stage):
    folder = stage.folder / "inbox"
    folder.mkdir()
    writer = stage.service("file_writer", folder, 5)
    observer = Observer()
    observer.schedule(Reader(stage.work), str(folder), recursive=True)
    stage.begin()
    writer.go()
    observer.start()
    threading.Event().wait()
