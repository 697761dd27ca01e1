"""Code objects that come and go: their addresses are used again by others with other names."""

import itertools
import os

import truth

_numbers = itertools.count()

FRESH = """
def {function}():
{padding}
    path = truth.fresh()
    fd = os.open(path, truth.CREATE)
    os.close(truth.closing(fd, path))
    os.unlink(path)

{function}()
"""


def fresh_code():
    """The same shape each time, so that the allocator gives the same place again."""
    for _ in range(20):
        number = next(_numbers)
        function = "made_%06d" % number
        # The line moves too: a stale line table would show.
        source = FRESH.format(function=function, padding="\n" * (number % 50))
        exec(compile(source, "/made/%06d.py" % number, "exec"), {"os": os, "truth": truth})


FAR = """
def backwards(
    opened,
):
    return (
{gap}
        opened(),
        opened(),
        opened()
{gap}
        if opened() is None else 0,
    )

backwards(opened)
{gap}
for _ in range(1): backwards(opened); \\
    backwards(opened)
{wide}
backwards(opened)
"""


def opened():
    path = truth.fresh()
    fd = os.open(path, truth.CREATE)
    os.close(truth.closing(fd, path))
    os.unlink(path)


def far_lines():
    """Line steps that need more than one entry of the line table, and wide instructions."""
    for gap in (120, 130, 40000):
        wide = "\n".join("v%d = %d" % (number, number) for number in range(300))
        source = FAR.format(gap="\n" * gap, wide=wide)
        exec(compile(source, "/made/far_%d.py" % gap, "exec"), {"opened": opened})


FOREIGN = """
class Größe:
    def функция(self):
        return opened()

def 雪(größe):
    return größe.функция()

def ünïcödé():
    return (lambda: 雪(Größe()))()

ünïcödé()
"""


def foreign_names():
    """Names in every width of str: Latin-1, two bytes, four bytes."""
    for name in ("módulo_雪.py", "größe.py", "𝛑_𐍈.py"):
        exec(compile(FOREIGN, "/made/" + name, "exec"), {"opened": opened})
