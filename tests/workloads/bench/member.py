"""One of many processes that do a little: `member.py MARK SECONDS` reads a file about once a second
for so long. The mark is for who selects by command line."""

import random
import sys
import time

end = time.monotonic() + float(sys.argv[2])
while time.monotonic() < end:
    with open(__file__) as file:
        file.read()
    time.sleep(random.uniform(0.5, 1.5))
