"""Prints code objects of the standard library, and the line that the interpreter itself gives for
each instruction of them: one JSON object a line, {"first", "table", "lines"}.

`lines` comes from PyCode_Addr2Line, and has one number a code unit, from address −2 to past the
end.
"""

import ctypes
import json
import os
import sys
import sysconfig

addr2line = ctypes.pythonapi.PyCode_Addr2Line
addr2line.argtypes = [ctypes.py_object, ctypes.c_int]
addr2line.restype = ctypes.c_int


def codes(code):
    yield code
    for constant in code.co_consts:
        if hasattr(constant, "co_code"):
            yield from codes(constant)


def sources():
    folder = sysconfig.get_path("stdlib")
    for name in sorted(os.listdir(folder)):
        if name.endswith(".py"):
            yield os.path.join(folder, name)
    for name in "asyncio/base_events.py", "unittest/mock.py", "email/message.py":
        yield os.path.join(folder, name)


def made():
    """Lines that are far apart, forwards and back, and long stretches without any step."""
    yield "x = [\n" + "  1,\n" * 200 + "  y,\n" + "  2,\n" * 500 + "  z]\n"
    yield "f(\n" + "\n" * 70000 + " a,\n b)(\n" + "\n" * 300 + "c)\n"
    yield "x = 1;" * 300
    yield "\n" * 100000 + "def f():\n return 1\n"
    yield "try:\n f()\nexcept* E:\n g()\nfinally:\n h()" if sys.version_info >= (3, 11) else "f()"


def main():
    sources_of = (open(path, encoding="utf-8").read() for path in sources())
    for index, source in enumerate([*made(), *sources_of]):
        if index % int(sys.argv[1]):
            continue
        for code in codes(compile(source, str(index), "exec", dont_inherit=True)):
            table = code.co_linetable if sys.version_info >= (3, 10) else code.co_lnotab
            addresses = range(-2, len(code.co_code) + 4, 2)
            lines = [addr2line(code, address) for address in addresses]
            print(json.dumps({
                "first": code.co_firstlineno,
                "table": table.hex(),
                "lines": lines,
            }))


main()
