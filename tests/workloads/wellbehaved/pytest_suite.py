"""pytest running the tests that numpy brings along."""

import pytest

SUITES = ["numpy.ma", "numpy.polynomial", "numpy.lib"]


class Count:
    def __init__(self, work):
        self.work = work

    def pytest_runtest_logreport(self, report):
        if report.when == "call" and report.passed:
            self.work.did()


def run(stage):
    words = ["--pyargs", "--quiet", "-p", "no:cacheprovider"]
    words += ["--basetemp", str(stage.folder / "temporary")]
    stage.begin()
    pytest.main([*words, *SUITES], plugins=[Count(stage.work)])
