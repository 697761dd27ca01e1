"""The commands that sam-brain asks on its Mac, with the same output from what Linux knows."""

import os

VM_STAT = """#!/bin/sh
echo "Mach Virtual Memory Statistics: (page size of 4096 bytes)"
while read -r name kilobytes unit; do
    case $name in
    MemAvailable:) echo "Pages free:           $((kilobytes / 4))." ;;
    Active:) echo "Pages active:         $((kilobytes / 4))." ;;
    esac
done </proc/meminfo
"""

SYSCTL = """#!/bin/sh
read -r name kilobytes unit </proc/meminfo
echo $((kilobytes * 1024))
"""

OLLAMA = """#!/bin/sh
echo "NAME             ID            SIZE    MODIFIED"
echo "llama3.2:latest  a80c4f17acd5  2.0 GB  3 weeks ago"
"""

TOOLS = {"vm_stat": VM_STAT, "sysctl": SYSCTL, "ollama": OLLAMA}


def install(home):
    """Puts them before everything else on PATH."""
    folder = home / "bin"
    folder.mkdir()
    for name, script in TOOLS.items():
        (folder / name).write_text(script)
        (folder / name).chmod(0o755)
    os.environ["PATH"] = str(folder) + os.pathsep + os.environ["PATH"]
