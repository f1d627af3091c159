"""The formats of Pillow that we measure against: which there are in this build, and whose code."""

from __future__ import annotations

from collections.abc import Sequence

from .coders import RIVALS, Coder

__all__ = ["choose", "library", "limit_threads"]

_LIBRARIES: dict[str, tuple[str, ...]] = {  # of each suffix, as Pillow's `features` names them
    ".jpg": ("libjpeg_turbo", "jpg"),
    ".webp": ("webp",),
    ".avif": ("avif",),
}


def choose(names: Sequence[str]) -> list[Coder]:
    """Return the rivals of these names; ValueError for an unknown one or one Pillow lacks."""
    chosen = []
    for name in names:
        if name not in RIVALS:
            raise ValueError(f"found {name!r}, allowed are {', '.join(RIVALS)} or none")
        library(RIVALS[name])
        chosen.append(RIVALS[name])
    return chosen


def library(rival: Coder) -> str:
    """Return name and version of the library that codes; ValueError if this Pillow lacks it."""
    from PIL import features

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
