"""mypy over modules of the standard library, its cache in the folder of the run."""

from mypy import api

from wellbehaved import stdlib_files

MODULES = 200


def run(stage):
    paths = stdlib_files.copy(stage.folder / "code", MODULES)
    words = ["--check-untyped-defs", "--scripts-are-modules", "--no-error-summary"]
    words += ["--cache-dir", str(stage.folder / "cache")]
    stage.begin()
    told, broken, _ = api.run([*words, *map(str, paths)])
    if broken:
        raise RuntimeError(broken)
    # It tells of types that do not fit; the library is not annotated.
    stage.work.did(len(told.splitlines()))
