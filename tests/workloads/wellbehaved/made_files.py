"""Files for a job to work on, made before it begins.

`python -m wellbehaved.made_files KIND COUNT FOLDER` with KIND `csv`, `images` or `pages`.
"""

import random
import sys
from pathlib import Path

from audited import companion

ROWS = 2000
SIDE = 1600
WORDS = "the quick brown fox jumps over a lazy dog and writes all of it down ".split()


def tables(folder, count):
    for number in range(count):
        rows = ("%d,%d,%.3f\n" % (row, row % 17, random.random()) for row in range(ROWS))
        (folder / ("part-%05d.csv" % number)).write_text("id,kind,value\n" + "".join(rows))


def images(folder, count):
    from PIL import Image

    for number in range(count):
        noise = Image.effect_noise((SIDE, SIDE), 20 + number % 60)
        noise.convert("RGB").save(folder / ("picture-%04d.jpg" % number), quality=80)


def pages(folder, count):
    names = ["index.md"] + ["page-%04d.md" % number for number in range(1, count)]
    for number, name in enumerate(names):
        paragraphs = [" ".join(random.choices(WORDS, k=80)) for _ in range(30)]
        titled = ["## Part %d\n\n%s" % part for part in enumerate(paragraphs)]
        other = "See [another](%s)." % random.choice(names)
        code = "```python\ndef answer(question):\n    return len(question)\n```"
        text = "\n\n".join(["# Page %d" % number, other, *titled, code])
        (folder / name).write_text(text)


def make(stage, kind, count):
    """In the program: has another process make them; returns their folder."""
    folder = stage.folder / kind
    folder.mkdir()
    with companion.Companion("wellbehaved.made_files", kind, count, folder):
        return folder


if __name__ == "__main__":
    {"csv": tables, "images": images, "pages": pages}[sys.argv[1]](
        Path(sys.argv[3]), int(sys.argv[2])
    )
    companion.announce()
