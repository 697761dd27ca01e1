"""Files of the standard library, copied, for tools to work on."""

import shutil
import sysconfig
from pathlib import Path


def copy(folder, most):
    """The first `most` modules and those of some packages, into a new folder."""
    library = Path(sysconfig.get_path("stdlib"))
    folder.mkdir()
    copied = sorted(library.glob("[a-z]*.py"))[:most]
    for path in copied:
        shutil.copyfile(path, folder / ("copy_of_" + path.name))
    return sorted(folder.iterdir())
