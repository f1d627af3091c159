"""Tells a Linux desktop about the format: its MIME type, and how to make thumbnails.

Two files under XDG_DATA_HOME (`~/.local/share`), as the shared MIME-info and the thumbnail
specification of freedesktop.org ask; `off` removes them.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from .header import SIGNATURE

__all__ = ["data_folder", "off", "on", "status"]

MIME = Path("mime/packages/pillow-lic.xml")
THUMBNAILER = Path("thumbnailers/pillow-lic.thumbnailer")
_MAGIC = "".join(f"\\x{byte:02x}" for byte in SIGNATURE)
_XML = f"""<?xml version="1.0" encoding="UTF-8"?>
<mime-info xmlns="http://www.freedesktop.org/standards/shared-mime-info">
  <mime-type type="image/x-lic">
    <comment>Image with learned compression</comment>
    <magic priority="60">
      <match type="string" offset="0" value="{_MAGIC}"/>
    </magic>
    <glob pattern="*.lic"/>
  </mime-type>
</mime-info>
"""


def data_folder() -> Path:
    """Return where this user's desktop looks."""
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")


def _thumbnailer() -> str:
    python = shlex.quote(sys.executable).replace("%", "%%")
    safe = "-P " if sys.version_info >= (3, 11) else ""  # nothing from the folder it runs in
    command = f"{python} {safe}-m pillow_lic thumbnail --overwrite --size %s %i %o"
    where = sys.executable  # a path as it is, while Exec is a command line
    return f"[Thumbnailer Entry]\nTryExec={where}\nExec={command}\nMimeType=image/x-lic;\n"


def _refresh(folder: Path) -> None:
    tool = shutil.which("update-mime-database")
    if tool:
        subprocess.run([tool, str(folder / "mime")], check=False, capture_output=True)


def on(folder: Path) -> None:
    """Write both files and have the MIME database made anew; OSError if that is not allowed.

    Nothing stays of what is half written.
    """
    try:
        for name, text in ((MIME, _XML), (THUMBNAILER, _thumbnailer())):
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    except OSError:
        off(folder)
        raise
    _refresh(folder)


def off(folder: Path) -> None:
    """Remove them again."""
    for name in (MIME, THUMBNAILER):
        (folder / name).unlink(missing_ok=True)
    _refresh(folder)


def status(folder: Path) -> str:
    """Say in one line which of them are there."""
    present = [str(name) for name in (MIME, THUMBNAILER) if (folder / name).exists()]
    if not present:
        return f"off: nothing in {folder}"
    return f"{'on' if len(present) == 2 else 'broken'}: {', '.join(present)} in {folder}"
