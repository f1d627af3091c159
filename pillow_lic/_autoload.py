"""Installs and removes the hook that spares an `import pillow_lic`. Opt-in, and off means gone.

Python runs the line in a `.pth` file of a site folder when it starts. Python 3.15 reads entry
points from a `.start` file of the same name instead (PEP 829), and later versions nothing else.
"""

from __future__ import annotations

import os
import sysconfig
from importlib import resources
from pathlib import Path

__all__ = ["off", "on", "site_folder", "status"]

MODULE = "_pillow_lic_autoload"
FILES = {
    f"{MODULE}.pth": f"import {MODULE}; {MODULE}.install()\n",
    f"{MODULE}.start": f"{MODULE}:install\n",
}


def site_folder() -> Path:
    """Return where this environment keeps what it has installed."""
    return Path(sysconfig.get_path("purelib"))


def on(folder: Path) -> None:
    """Write the hook; OSError if the folder cannot be written, and then nothing stays there."""
    source = resources.files(__package__).joinpath("_hook.py").read_text("utf-8")
    try:
        # The line that runs comes last: it must not find half a module.
        for name, text in ({f"{MODULE}.py": source} | FILES).items():
            (folder / name).write_text(text, encoding="utf-8")
    except OSError:
        off(folder)
        raise


def off(folder: Path) -> bool:
    """Remove every trace of the hook; returns whether there was one."""
    found = [folder / name for name in (*FILES, f"{MODULE}.py") if (folder / name).exists()]
    for path in [*found, *(folder / "__pycache__").glob(f"{MODULE}.*.pyc")]:
        path.unlink(missing_ok=True)
    return bool(found)


def status(folder: Path) -> str:
    """Say in one line whether the hook is there, and whether it works."""
    present = [name for name in (*FILES, f"{MODULE}.py") if (folder / name).exists()]
    if not present:
        return f"off: nothing in {folder}"
    if len(present) <= len(FILES):
        return f"broken: only {', '.join(present)} in {folder}; `autoload on` repairs it"
    if os.environ.get("PILLOW_LIC_AUTOLOAD") == "0":
        return f"on in {folder}, but PILLOW_LIC_AUTOLOAD=0 holds it back"
    return f"on: {folder / MODULE}.pth"
