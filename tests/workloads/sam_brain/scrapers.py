"""sam-15: a scraper whose source is down tries again at once, forty times a page.

One source works, the other refuses every connection. Each scraper has a page a second: 40 vain
attempts a second, and it goes on like that for as long as the source is down.

Remedy: after a failure the source is left alone for a second, then for two, four, up to a minute.
"""

import time
from urllib.error import URLError
from urllib.request import urlopen

from .companion import Companion
from .pace import every

ATTEMPTS = 40
SECONDS_PER_PAGE = 1
TIMEOUT_SECONDS = 10


class Scraper:
    def __init__(self, address):
        self.address = address
        self.pages = 0

    def scrape(self, page):
        for _ in range(ATTEMPTS):
            try:
                return self.fetch(page)
            except URLError:
                pass
        return None

    def fetch(self, page):
        url = "%s/page/%d" % (self.address, page)
        reply = urlopen(url, timeout=TIMEOUT_SECONDS)  # SITE sam-15 retry-storm
        with reply:
            self.pages += 1
            return reply.read()


class PoliteScraper(Scraper):
    LONGEST_REST_SECONDS = 60

    def __init__(self, address):
        super().__init__(address)
        self.rest = 0
        self.not_before = 0

    def scrape(self, page):
        if time.monotonic() < self.not_before:
            return None
        try:
            fetched = self.fetch(page)
        except URLError:
            self.rest = min(2 * self.rest or 1, self.LONGEST_REST_SECONDS)
            self.not_before = time.monotonic() + self.rest
            return None
        self.rest = 0
        return fetched


def prepare(_, fixed):
    site = Companion("news_site")
    scraper = PoliteScraper if fixed else Scraper

    def work():
        sources = [scraper("http://127.0.0.1:%d" % site.found[which]) for which in ("up", "down")]
        for page in every(SECONDS_PER_PAGE):
            for source in sources:
                source.scrape(page)

    return work
