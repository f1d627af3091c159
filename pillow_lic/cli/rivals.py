"""The formats that we measure against: which there are in this environment, and whose code."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from importlib import metadata

from .coders import RIVALS, Coder

__all__ = ["OWN", "choose", "library", "limit_threads"]

_LIBRARIES: dict[str, tuple[str, ...]] = {  # of each suffix, as Pillow's `features` names them
    ".jpg": ("libjpeg_turbo", "jpg"),
    ".webp": ("webp",),
    ".avif": ("avif",),
}
_PLUGINS = {  # of each suffix that Pillow leaves to others: module that registers it, package
    ".heic": ("pillow_heif.HeifImagePlugin", "pillow-heif"),
    ".jxl": ("pillow_jxl", "pillow-jxl-plugin"),
    ".mozjpeg": ("pillow_lic.cli.mozjpeg", "pyvips-binary"),
}
OWN = [name for name, rival in RIVALS.items() if rival.suffix in _LIBRARIES]  # Pillow's


def choose(names: Sequence[str]) -> list[Coder]:
    """Return the rivals of these names; ValueError for an unknown one or one that is missing."""
    chosen = []
    for name in names:
        if name not in RIVALS:
            raise ValueError(f"found {name!r}, allowed are {', '.join(RIVALS)} or none")
        library(RIVALS[name])
        chosen.append(RIVALS[name])
    return chosen


def library(rival: Coder) -> str:
    """Return name and version of what codes, ready after that; ValueError if it is missing."""
    from PIL import features

    if rival.suffix in _PLUGINS:
        module, package = _PLUGINS[rival.suffix]
        try:
            importlib.import_module(module)
            return f"{package} {metadata.version(package)}"
        except ImportError:  # of the package's version, too
            needed = f"the package {package}, which the extra rivals has"
            raise ValueError(f"found {rival.name!r}, which needs {needed}") from None
    names = _LIBRARIES[rival.suffix]
    for name in names:
        if features.check(name):  # type: ignore[no-untyped-call, unused-ignore]
            return f"{name} {features.version(name)}"
    raise ValueError(f"found {rival.name!r}, but this Pillow is built without {names[-1]}")


def limit_threads(threads: int | None) -> None:
    """Let torch and libavif, which take all cores otherwise, use this many threads."""
    if threads is None:
        return
    import torch
    from PIL import AvifImagePlugin

    torch.set_num_threads(threads)
    AvifImagePlugin.DEFAULT_MAX_THREADS = threads
