"""black over files of the standard library, with its two worker processes."""

import black
import click

from wellbehaved import stdlib_files


def run(stage):
    paths = stdlib_files.copy(stage.folder / "code", 200)
    stage.begin()
    done = black.Report.done

    def count(report, *arguments):
        done(report, *arguments)
        stage.work.did()

    black.Report.done = count
    words = ["--quiet", "--workers=2", "--target-version=py312", *map(str, paths)]
    try:
        black.main(words, standalone_mode=False)
    except click.Abort:
        raise KeyboardInterrupt from None
