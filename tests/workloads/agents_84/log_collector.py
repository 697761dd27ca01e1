"""Companion: takes log records from its standard input, 30 ms for each read."""

import os
import time

import companions

RECORD_SECONDS = 0.03


def main():
    companions.die_with_parent()
    companions.announce("collecting")
    while os.read(0, 65536):
        time.sleep(RECORD_SECONDS)


if __name__ == "__main__":
    main()
