"""What codes an image in a benchmark: the formats of Pillow that we measure against, and ours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["RIVALS", "Coder", "choose", "limit_threads", "model"]


@dataclass(frozen=True)
class Coder:
    """How a format is saved, and at which qualities.

    Attributes:
        version: what decides about bytes and times beside the options, so that measurements of
            other weights, libraries or numbers of threads are not taken for this coder's.
        opening: arguments for whatever opens the file.
    """

    name: str
    format: str
    options: dict[str, Any]
    qualities: tuple[float, ...]
    version: str = ""
    opening: dict[str, Any] = field(default_factory=dict)

    @property
    def ours(self) -> bool:
        return self.format == "LIC"


_JPEG = {"optimize": True, "progressive": True, "subsampling": "4:2:0"}
_WEBP = {"method": 6}
_AVIF = {"subsampling": "4:2:0", "speed": 6}
_AVIF_PSNR = {**_AVIF, "advanced": {"tune": "psnr"}}  # libaom's default aims at the eye
# Each grid has about even steps from 0.1 to 2.5 bits per pixel.
_JPEG_GRID = (2, 5, 9, 14, 20, 30, 45, 62, 76, 86, 92)
_WEBP_GRID = (0, 5, 15, 30, 45, 60, 75, 84, 91, 96)
_AVIF_GRID = (8, 16, 25, 34, 43, 52, 62, 72, 81, 89)

RIVALS = {
    coder.name: coder
    for coder in (
        Coder("jpeg", "JPEG", _JPEG, _JPEG_GRID),
        Coder("webp", "WEBP", _WEBP, _WEBP_GRID),
        Coder("avif", "AVIF", _AVIF, _AVIF_GRID),
        Coder("avif-psnr", "AVIF", _AVIF_PSNR, _AVIF_GRID),
    )
}
_LIBRARIES: dict[str, tuple[str, ...]] = {
    "JPEG": ("libjpeg_turbo", "jpg"),
    "WEBP": ("webp",),
    "AVIF": ("avif",),
}


def choose(names: Sequence[str], threads: int | None) -> list[Coder]:
    """Return the rivals of these names; ValueError for an unknown one or one Pillow lacks."""
    from PIL import features

    chosen = []
    for name in names:
        if name not in RIVALS:
            raise ValueError(f"found {name!r}, allowed are {', '.join(RIVALS)} or none")
        rival = RIVALS[name]
        libraries = _LIBRARIES[rival.format]
        versions = [f"{each} {features.version(each)}" for each in libraries if _has(each)]
        if not versions:
            raise ValueError(f"found {name!r}, but this Pillow is built without {libraries[-1]}")
        settings = rival.options, rival.qualities
        chosen.append(Coder(rival.name, rival.format, *settings, _version(versions[0], threads)))
    return chosen


def _has(feature: str) -> bool:
    from PIL import features

    check: Callable[[str], bool | None] = features.check
    return bool(check(feature))


def _version(code: str, threads: int | None) -> str:
    return f"{code}, {threads or 'default'} threads"


def model(name: str, qualities: Sequence[float], device: str, threads: int | None) -> Coder:
    """Return one of our models; UnknownModel, WeightsNotFound or WeightsError if there is none."""
    import lic_models

    codec = lic_models.load(lic_models.model_name(name), device)
    code = f"weights {codec.fingerprint.hex()} on {codec.device}"
    options = {"model": name, "device": device}
    version = _version(code, threads)
    return Coder(name, "LIC", options, tuple(qualities), version, {"device": device})


def limit_threads(threads: int | None) -> None:
    """Let torch and libavif, which take all cores otherwise, use this many threads."""
    if threads is None:
        return
    import torch
    from PIL import AvifImagePlugin

    torch.set_num_threads(threads)
    AvifImagePlugin.DEFAULT_MAX_THREADS = threads
