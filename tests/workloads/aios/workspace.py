"""A workspace on disk: projects with the kinds of files that an assistant is asked about."""

import pathlib

PROJECTS = 12
PARTS = ("src", "src/core", "tests", "docs", "data")
FILES = ("main.py", "notes.md", "settings.json", "pipeline.yaml", "table.csv", "README.txt")


def create(folder):
    """Writes the tree and gives its root: 73 directories, 360 files."""
    root = pathlib.Path(folder, "workspace")
    for number in range(PROJECTS):
        for part in PARTS:
            place = root / ("project-%02d" % number) / part
            place.mkdir(parents=True, exist_ok=True)
            for name in FILES:
                (place / name).write_text("%s of project %d\n" % (name, number))
    return root
