"""One image, one coder, one quality: code it to a real file, and compare what comes back."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lic_models.folders import inside

from . import files, metrics, rivals
from .coders import Coder

if TYPE_CHECKING:
    from lic_models.codec import Codec

    from .metrics import Pixels

__all__ = [
    "PSNR_MAX",
    "Coded",
    "Picture",
    "Row",
    "at_size",
    "code",
    "compare",
    "each",
    "estimate",
    "find",
    "fingerprint",
    "pixels_of",
    "version",
]

PSNR_MAX = 100.0  # dB; equal images count as this much, so that means stay finite


@dataclass(frozen=True)
class Coded:
    """What came back from a file, its size in bytes, and seconds for each way."""

    pixels: Pixels
    path: Path
    size: int
    encode_s: float
    decode_s: float


@dataclass(frozen=True)
class Row:
    """What was measured, as it stands in `results.json`.

    Attributes:
        version: of the coder, see `version`.
        image: name of the file. digest: of its bytes.
        payload_bytes: coded tiles without the container. estimated_bits: of the same, by the model.
    """

    coder: str
    version: str
    quality: float
    image: str
    digest: str
    width: int
    height: int
    file_bytes: int
    bpp: float
    psnr: float
    ms_ssim: float
    encode_s: float
    decode_s: float
    payload_bytes: int | None = None
    estimated_bits: float | None = None

    @property
    def key(self) -> tuple[str, str, float, str]:
        """What makes two rows measurements of the same thing."""
        return self.coder, self.version, self.quality, self.digest

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Picture:
    """A picture in a folder, read when it is needed."""

    path: Path
    digest: str


def _paths_in(folder: Path, limit: int | None) -> list[Path]:
    """Return the first pictures of a folder by name; ValueError if there are none."""
    paths = inside(folder, files.pictures(), below=False)[:limit]
    if not paths:
        raise ValueError(f"{folder}: found no pictures, allowed are the formats that Pillow reads")
    return paths


def each(folder: Path, limit: int | None, doing: str) -> Iterator[tuple[Path, Pixels]]:
    """Yield the first pictures of a folder, and RGB of each, with a bar on stderr."""
    from rich.console import Console
    from rich.progress import track

    paths = _paths_in(folder, limit)
    for path in track(paths, doing, console=Console(stderr=True), transient=True):
        yield path, pixels_of(path)


def find(folder: Path, limit: int | None) -> list[Picture]:
    """Return the first pictures of a folder.

    ValueError if there are none, or one is too small for MS-SSIM.
    """
    from PIL import Image

    paths = _paths_in(folder, limit)
    for path in paths:
        with Image.open(path) as image:
            size = image.size
        if min(size) < metrics.MS_SSIM_SIDE:
            found = f"{size[0]} x {size[1]}"
            allowed = f"allowed are sides from {metrics.MS_SSIM_SIDE}, because of MS-SSIM"
            raise ValueError(f"{path}: found {found} pixels, {allowed}")
    return [Picture(path, hashlib.sha256(path.read_bytes()).hexdigest()[:16]) for path in paths]


def pixels_of(path: Path) -> Pixels:
    """Return a picture as RGB in 8 bits, read as training does; ValueError if that cannot be."""
    from lic_models.photos import read

    return read(path).permute(1, 2, 0).numpy()


def fingerprint(coder: Coder) -> str:
    """Return the fingerprint of one of our models' weights, which are ready to use after that."""
    return _load(coder).fingerprint.hex()


def _load(coder: Coder) -> Codec:
    import lic_models

    name = lic_models.model_name(coder.options["model"])
    return lic_models.load(name, coder.options["device"], tune=coder.options["tune"])


def version(coder: Coder, threads: int | None) -> str:
    """Return what decides about bytes and times beside a coder's name.

    Measurements with other weights, options, libraries or numbers of threads are not this coder's.
    """
    if coder.device is None:
        code = f"{rivals.library(coder)}, {json.dumps(coder.options)}"
    else:
        import torch

        where = f"device {_load(coder).device}, torch {torch.__version__}"
        code = f"weights {fingerprint(coder)}, {where}"
    return f"{code}, {threads or 'default'} threads"


def code(coder: Coder, quality: float, pixels: Pixels, folder: Path) -> Coded:
    """Save to a file in this folder, replacing the last one, and load from it."""
    import numpy as np
    from PIL import Image

    import pillow_lic

    image = Image.fromarray(pixels)  # carries no metadata, which some formats would store
    path = folder / f"{coder.name}{coder.suffix}"
    start = time.perf_counter()
    image.save(path, **coder.save_options(quality))
    saved = time.perf_counter()
    if coder.device is None:
        decoded: Image.Image = Image.open(path)
    else:
        decoded = pillow_lic.open(path, coder.device)
    with decoded:
        decoded.load()
        end = time.perf_counter()
        back = np.array(decoded.convert("RGB"))
    return Coded(back, path, path.stat().st_size, saved - start, end - saved)


def at_size(coder: Coder, pixels: Pixels, size: int, folder: Path) -> tuple[int, Coded]:
    """Return the lowest quality whose file is not smaller than `size`, and that file decoded.

    So what is compared never gets fewer bytes, unless its best quality takes fewer.
    """
    low, high = 1, 100
    found: dict[int, Coded] = {}
    while low < high:
        middle = (low + high) // 2
        found[middle] = code(coder, middle, pixels, folder)
        if found[middle].size >= size:
            high = middle
        else:
            low = middle + 1
    return low, found.get(low) or code(coder, low, pixels, folder)


def compare(
    picture: Picture, pixels: Pixels, coder: Coder, named: str, quality: float, coded: Coded
) -> Row:
    """Return what was measured on a picture; `named` is the coder's version."""
    height, width = pixels.shape[:2]
    return Row(
        coder=coder.name,
        version=named,
        quality=quality,
        image=picture.path.name,
        digest=picture.digest,
        width=width,
        height=height,
        file_bytes=coded.size,
        bpp=8 * coded.size / (width * height),
        psnr=min(metrics.psnr(pixels, coded.pixels), PSNR_MAX),
        ms_ssim=metrics.ms_ssim(pixels, coded.pixels),
        encode_s=coded.encode_s,
        decode_s=coded.decode_s,
    )


def estimate(pixels: Pixels, path: Path, device: str) -> tuple[int, float]:
    """Return the bytes of a file's tiles, and the bits that its model reckons for them."""
    import lic_models

    from .. import container

    with path.open("rb") as file:
        header = container.read_header(file)
        tiles: Sequence[bytes | None] = container.read_parts(file, header).tiles
    codec = lic_models.load(header.model, device, header.fingerprint)
    bits = codec.estimate_bits(pixels, header.level, header.tile)
    return sum(len(tile or b"") for tile in tiles), bits
