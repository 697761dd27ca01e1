"""kloros-2: the performance monitor keeps the report of every check that it has ever made, 150 MB a
minute, and had 916 MB when it was disabled.

40 reports of 62,500 bytes a second make that up, steadily. The remedy keeps the latest ones only.
"""

import collections

from audited import pace

CHECKS_PER_SECOND = 40
ROUNDS_PER_SECOND = 10
REPORT_BYTES = 62500
SAMPLE = "latency %12d ns, of which waiting %12d ns\n"
SAMPLES = REPORT_BYTES // len(SAMPLE % (0, 0))
KEPT_REPORTS = 64


class PerformanceMonitor:
    def __init__(self, subjects):
        self.samples = {name: sample(number) for number, name in enumerate(subjects)}
        self.results = []

    def check(self, name):
        report = "".join(self.samples[name])  # SITE kloros-2 memory-growth
        self.results.append((name, report))


class BoundedPerformanceMonitor(PerformanceMonitor):
    def __init__(self, subjects):
        super().__init__(subjects)
        self.results = collections.deque(maxlen=KEPT_REPORTS)


def sample(number):
    """What was measured of one subject: lines that reports are made of."""
    return [SAMPLE % (number + nth * nth, nth) for nth in range(SAMPLES)]


def run(folder, fixed, begin):
    subjects = ["skill_%d" % number for number in range(CHECKS_PER_SECOND)]
    monitor = (BoundedPerformanceMonitor if fixed else PerformanceMonitor)(subjects)
    begin()
    a_round = CHECKS_PER_SECOND // ROUNDS_PER_SECOND
    for number in pace.every(1 / ROUNDS_PER_SECOND):
        for nth in range(a_round):
            monitor.check(subjects[(number * a_round + nth) % len(subjects)])
