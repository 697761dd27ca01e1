"""pytest running the tests that numpy brings along."""

import pytest

SUITES = ["numpy.ma", "numpy.polynomial", "numpy.lib"]
# They write archives of 2 GiB, and the disk makes them wait: rightly told as a slow call.
NOT = "test_large_archive and not test_large_zip and not test_big_arrays"


class Count:
    def __init__(self, work):
        self.work = work

    def pytest_runtest_logreport(self, report):
        if report.when == "call" and report.passed:
            self.work.did()


def run(stage):
    words = ["--pyargs", "--quiet", "-p", "no:cacheprovider", "-k", "not " + NOT]
    words += ["--basetemp", str(stage.folder / "temporary")]
    stage.begin()
    pytest.main([*words, *SUITES], plugins=[Count(stage.work)])
