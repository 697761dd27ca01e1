"""agents-9: a browser for each page, driven over pipes, that nobody quits or waits for.

The browsers linger, end by themselves at last, and stay as zombies; their pipes stay open. The
remedy is the audit's: each is told to quit, its pipes are closed and it is waited for.
"""

import json
import os
import time
from subprocess import Popen

import companions

SECONDS_BETWEEN_PAGES = 1.5


class BrowserDriver:
    """One browser process and the two pipes to it."""

    def __init__(self):
        their_commands, self.commands = os.pipe()  # SITE agents-9 fd-leak 1
        self.replies, their_replies = os.pipe()  # SITE agents-9 fd-leak 2
        theirs = (their_commands, their_replies)
        command = companions.command("agents_84.browser", *theirs)
        home = companions.HOME
        self.process = Popen(command, cwd=home, pass_fds=theirs)  # SITE agents-9 process-leak
        for end in theirs:
            os.close(end)

    def title(self, url):
        self.send({"method": "title", "url": url})
        return json.loads(os.read(self.replies, 4096))["title"]

    def quit(self):
        self.send({"method": "quit"})
        os.close(self.commands)
        os.close(self.replies)
        self.process.wait()

    def send(self, command):
        os.write(self.commands, json.dumps(command).encode() + b"\n")


class BrowserAgent:
    def __init__(self):
        # A browser takes its time to start: the next one always does so ahead.
        self.spare = BrowserDriver()

    def next_driver(self):
        driver, self.spare = self.spare, BrowserDriver()
        return driver


class LingeringBrowserAgent(BrowserAgent):
    def __init__(self):
        super().__init__()
        self.drivers = []

    def visit(self, url):
        driver = self.next_driver()
        self.drivers.append(driver)
        return driver.title(url)


class TidyBrowserAgent(BrowserAgent):
    def visit(self, url):
        driver = self.next_driver()
        try:
            return driver.title(url)
        finally:
            driver.quit()


def run(session, fixed):
    agent = TidyBrowserAgent() if fixed else LingeringBrowserAgent()
    session.begin()
    page = 0
    while True:
        page += 1
        agent.visit("https://example.org/%d" % page)
        time.sleep(SECONDS_BETWEEN_PAGES)
