"""Whose files change: `python -m wellbehaved.file_writer FOLDER PER_SECOND`."""

import sys
from pathlib import Path

from audited import companion, pace

FILES = 40
LINE = "something that was noted down\n"


def main():
    folder = Path(sys.argv[1])
    companion.announce()
    for number in pace.every(1 / int(sys.argv[2])):
        (folder / ("%d.txt" % (number % FILES))).write_text(LINE * (1 + number % 100))


if __name__ == "__main__":
    main()
