"""Makes the wheel that carries the static program. Run by `cargo xtask dist`.

The formats are those of packaging.python.org: binary distribution format, core metadata, platform
compatibility tags. Standard library only.
"""

import argparse
import base64
import hashlib
import pathlib
import time
import zipfile

# A static program asks nothing of the libc that is there: the oldest tags of both kinds hold.
PLATFORMS = ["manylinux_2_17_{}", "manylinux2014_{}", "musllinux_1_1_{}"]

METADATA = """\
Metadata-Version: 2.4
Name: pitviper
Version: {version}
Summary: Names the Python line that leaks descriptors, storms or blocks, in a running process, by eBPF
License-Expression: MIT OR Apache-2.0
{licences}
Classifier: Environment :: Console
Classifier: Intended Audience :: Developers
Classifier: Intended Audience :: System Administrators
Classifier: Operating System :: POSIX :: Linux
Classifier: Programming Language :: Python :: Implementation :: CPython
Classifier: Programming Language :: Rust
Classifier: Topic :: Software Development :: Debuggers
Classifier: Topic :: System :: Monitoring
Requires-Python: >=3.8
Description-Content-Type: text/markdown

{readme}"""

WHEEL = """\
Wheel-Version: 1.0
Generator: pitviper
Root-Is-Purelib: false
{tags}
"""


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ["program", "man", "readme", "output"]:
        parser.add_argument(f"--{name}", type=pathlib.Path, required=True)
    parser.add_argument("--licence", type=pathlib.Path, action="append", required=True)
    parser.add_argument("--version", required=True)
    parser.add_argument("--machine", required=True)
    parser.add_argument("--epoch", type=int, required=True)
    return parser.parse_args()


def contents(options, tags):
    """Each file's name in the wheel, its bytes and its mode; all but the record."""
    prefix = f"pitviper-{options.version}"
    info = f"{prefix}.dist-info"
    yield f"{prefix}.data/scripts/pitviper", options.program.read_bytes(), 0o755
    for page in sorted(options.man.iterdir()):
        yield f"{prefix}.data/data/share/man/man1/{page.name}", page.read_bytes(), 0o644
    for licence in options.licence:
        yield f"{info}/licenses/{licence.name}", licence.read_bytes(), 0o644
    metadata = METADATA.format(
        version=options.version,
        licences="\n".join(f"License-File: {licence.name}" for licence in options.licence),
        readme=options.readme.read_text(encoding="utf-8"),
    )
    yield f"{info}/METADATA", metadata.encode(), 0o644
    yield f"{info}/WHEEL", WHEEL.format(tags="\n".join(f"Tag: {tag}" for tag in tags)).encode(), 0o644


def digest(data):
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def main():
    options = arguments()
    platforms = [platform.format(options.machine) for platform in PLATFORMS]
    tags = [f"py3-none-{platform}" for platform in platforms]
    files = list(contents(options, tags))
    record = f"pitviper-{options.version}.dist-info/RECORD"
    lines = [f"{name},{digest(data)},{len(data)}\n" for name, data, _ in files]
    files.append((record, "".join([*lines, f"{record},,\n"]).encode(), 0o644))

    name = f"pitviper-{options.version}-py3-none-{'.'.join(platforms)}.whl"
    # A zip file cannot be dated before 1980.
    date = max(time.gmtime(options.epoch)[:6], (1980, 1, 1, 0, 0, 0))
    with zipfile.ZipFile(options.output / name, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as wheel:
        for path, data, mode in files:
            entry = zipfile.ZipInfo(path, date)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # Unix, whose modes the attributes hold
            entry.external_attr = (0o100000 | mode) << 16
            wheel.writestr(entry, data, compresslevel=9)
    print(name)


if __name__ == "__main__":
    main()
