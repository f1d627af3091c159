"""One image, one coder, one quality: code it to a real file, and compare what comes back."""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import metrics
from .rivals import Coder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

__all__ = ["Picture", "Row", "code", "find", "measure", "peak_memory"]

PSNR_MAX = 100.0  # dB; equal images count as this much, so that means stay finite


@dataclass(frozen=True)
class Row:
    """What was measured, as it stands in `results.json`.

    Attributes:
        image: name of the file. digest: of its bytes. version: see `Coder`.
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

    def load(self) -> Image.Image:
        """Return the pixels as RGB, without the metadata that some formats would store."""
        from PIL import Image

        with Image.open(self.path) as image:
            rgb = image.convert("RGB")
        rgb.info = {}
        return rgb


def find(folder: Path, limit: int | None) -> list[Picture]:
    """Return the first pictures of a folder by name; ValueError if one cannot be measured."""
    from PIL import Image

    formats = Image.registered_extensions()
    known = {suffix for suffix, name in formats.items() if name in Image.OPEN}
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in known)[:limit]
    if not paths:
        raise ValueError(f"{folder}: found no pictures, allowed are the formats that Pillow reads")
    for path in paths:
        with Image.open(path) as image:
            size = image.size
        if min(size) < metrics.MS_SSIM_SIDE:
            found = f"{size[0]} x {size[1]}"
            allowed = f"allowed are sides from {metrics.MS_SSIM_SIDE}, because of MS-SSIM"
            raise ValueError(f"{path}: found {found} pixels, {allowed}")
    return [Picture(path, hashlib.sha256(path.read_bytes()).hexdigest()[:16]) for path in paths]


def code(
    image: Image.Image, coder: Coder, quality: float, path: Path
) -> tuple[Image.Image, float, float]:
    """Save to a file and load from it; returns what came back, and seconds for each way."""
    from PIL import Image

    import pillow_lic

    start = time.perf_counter()
    image.save(path, coder.format, quality=quality, **coder.options)
    saved = time.perf_counter()
    with pillow_lic.open(path, **coder.opening) if coder.ours else Image.open(path) as decoded:
        decoded.load()
        end = time.perf_counter()
        return decoded.convert("RGB"), saved - start, end - saved


def measure(
    picture: Picture, image: Image.Image, coder: Coder, quality: float, path: Path, estimate: bool
) -> Row:
    """Code a picture to this file and return what was measured."""
    import numpy as np

    decoded, encode_s, decode_s = code(image, coder, quality, path)
    pixels, coded = np.asarray(image), np.asarray(decoded)
    size = path.stat().st_size
    row = Row(
        coder=coder.name,
        version=coder.version,
        quality=quality,
        image=picture.path.name,
        digest=picture.digest,
        width=image.width,
        height=image.height,
        file_bytes=size,
        bpp=8 * size / (image.width * image.height),
        psnr=min(metrics.psnr(pixels, coded), PSNR_MAX),
        ms_ssim=metrics.ms_ssim(pixels, coded),
        encode_s=encode_s,
        decode_s=decode_s,
    )
    if not (estimate and coder.ours):
        return row
    payload, bits = _estimate(pixels, path, coder.options["device"])
    return replace(row, payload_bytes=payload, estimated_bits=bits)


def _estimate(pixels: NDArray[np.uint8], path: Path, device: str) -> tuple[int, float]:
    """Return the bytes of a file's tiles, and the bits that its model reckons for them."""
    import numpy as np
    import torch

    import lic_models
    from lic_models.codec import boxes
    from lic_models.entropy import estimate

    from .. import container

    with path.open("rb") as file:
        header = container.read_header(file)
        payload = sum(len(tile or b"") for tile in container.read_parts(file, header).tiles)
    codec = lic_models.load(header.model, device, header.fingerprint)
    level = torch.tensor([float(header.level)], device=codec.device)
    bits = 0.0
    with torch.inference_mode():
        image = torch.from_numpy(np.array(pixels)).permute(2, 0, 1)
        y = codec._analyse(image, header.level)
        edge = header.tile // codec.model.pixels
        for top, left, bottom, right in boxes(y.shape[2], y.shape[3], edge):
            part = y[:, :, top:bottom, left:right].contiguous()
            latents = codec.model.latents(part, level)
            bits += float(estimate(codec.model, latents, level, noise=False)[1])
    return payload, bits


def peak_memory() -> int | None:
    """Return the largest resident size of this process so far, in bytes, if the system tells."""
    for line in _process_status():
        name, _, value = line.partition(":")
        if name == "VmHWM":
            return int(value.split()[0]) * 1024
    try:
        import resource
    except ImportError:  # Windows
        return None
    found: int = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return found if sys.platform == "darwin" else found * 1024


def _process_status() -> Iterator[str]:
    """Yield what Linux says of this process.

    ru_maxrss does not do there: a process inherits it from the one that started it.
    """
    path = Path("/proc/self/status")
    if path.exists():
        yield from path.read_text(encoding="ascii", errors="replace").splitlines()
