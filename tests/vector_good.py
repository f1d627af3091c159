"""The good test vectors: pictures through the writer, and payloads that no picture would give."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from samples import EXIF, ICC, XMP, join, part, split

import lic_models
from lic_models import coding
from lic_models.rangecoder import ESCAPE_BITS, table_halves
from pillow_lic import _writing, container
from pillow_lic.header import pack_varint

MODEL = "tiny"
Latent = npt.NDArray[Any]
Shape = tuple[int, ...]


class Good(NamedTuple):
    """A file that every reader accepts."""

    name: str
    comment: str
    data: bytes


def picture(mode: str, width: int, height: int) -> Image.Image:
    """Return waves, an edge and a ramp; channels differ."""
    y, x = np.mgrid[0:height, 0:width].astype(float)
    planes = [np.sin(x / (7 + 3 * c) + y / (11 - 2 * c)) * 90 + 120 for c in range(4)]
    disc = np.hypot(x - width * 0.6, y - height * 0.4) < min(width, height) * 0.3
    planes[0][disc] += 60
    planes[2][disc] -= 80
    planes[3] = np.where(disc, 255, np.minimum(x * 3 + y, 255))
    stack = np.stack(planes, axis=2).clip(0, 255).astype(np.uint8)
    if mode in ("L", "LA"):
        stack = stack[..., [0, 3]]
    count = len(mode)
    return Image.fromarray(stack[..., 0] if count == 1 else stack[..., :count], mode=None)


def saved(image: Image.Image, **options: Any) -> bytes:
    """Return the bytes of a file in the model of the vectors."""
    file = io.BytesIO()
    image.save(file, "LIC", **{"model": MODEL, "quality": 75, **options})
    return file.getvalue()


def noise(width: int, height: int) -> Image.Image:
    values = np.random.default_rng(1).integers(0, 2, (height, width, 3), dtype=np.uint8) * 255
    return Image.fromarray(values)


def crafted(
    level: int, size: int, draw: Callable[[str, Shape], Latent], whole: bool = False
) -> bytes:
    """Return a file of latents that no picture would give, what index 0 stands for left out."""
    codec = lic_models.load(MODEL, device="cpu")
    latents = {
        name: torch.from_numpy(draw(name, (1, *shape))).float()
        for name, shape in codec.model.shapes(size, size).items()
    }
    payload, _ = coding.encode_as(codec.model, latents, level, whole)
    header = container.Header(size, size, "RGB", codec.model_id, codec.fingerprint, level)
    return container.write(header, {}, None, [payload])


def drawn(level: int, size: int, z_scale: float, y_scale: float, whole: bool = False) -> bytes:
    """Return a file of random latents, drawn from Laplacians of these scales."""
    random = np.random.default_rng(2)
    scales = {"z": z_scale, "y": y_scale}
    return crafted(level, size, lambda name, shape: random.laplace(0, scales[name], shape), whole)


def escaped(*excesses: int) -> bytes:
    """Return a file whose z has these excesses beyond its table, one in each channel."""
    level, half = 10000, table_halves()[1]  # where all of z has index 1

    def draw(name: str, shape: Shape) -> Latent:
        values = np.zeros(shape)
        if name == "z":
            values[0, : len(excesses), 0, 0] = [np.sign(e) * (abs(e) + half) for e in excesses]
        return values

    return crafted(level, 64, draw)


def whole_payloads() -> AbstractContextManager[object]:
    """While active, payloads are whole ones."""
    return mock.patch.object(coding, "encode", partial(coding.encode_as, whole=True))


def deep(mode: str, width: int, height: int) -> bytes:
    """Return a file of 16 bits per sample, whose low bytes differ from the high ones."""
    pixels = np.asarray(picture(mode, width, height), np.uint16) * 250 + 7
    return _writing.file_of([pixels], {}, {"model": MODEL, "quality": 75})


def with_alpha(filter_: int, tail: bytes, depth: int = 8) -> bytes:
    """Return an LA file whose alpha part has this filter."""
    whole = deep("LA", 20, 12) if depth == 16 else saved(picture("LA", 20, 12))
    header, parts = split(whole)
    return join(header, [(tag, bytes([filter_]) + tail if tag == "A" else d) for tag, d in parts])


def _alphas() -> Iterator[Good]:
    random = np.random.default_rng(3)
    for depth, label in ((8, ""), (16, "_16")):
        residuals = random.integers(0, 256, 12 * 20 * depth // 8, dtype=np.uint8).tobytes()
        for filter_, name in enumerate(("none", "left", "above", "gradient")):
            yield Good(
                f"alpha{label}_{name}",
                f"alpha filter {filter_}; samples wrap modulo {2**depth}",
                with_alpha(filter_, zlib.compress(residuals, 9), depth),
            )
    yield Good("alpha_constant", "alpha filter 4", with_alpha(4, b"\x80"))
    low_first = with_alpha(4, b"\x34\x12", 16)
    yield Good("alpha_16_constant", "alpha filter 4: 0x1234 everywhere", low_first)


def _parts() -> Iterator[Good]:
    everything = {"icc_profile": ICC, "exif": EXIF, "xmp": XMP}
    data = saved(picture("RGB", 20, 12), **everything)
    yield Good("metadata", "ICC, EXIF and XMP; the orientation in EXIF turns nothing", data)
    header, parts = split(data)
    swapped = join(header, [parts[2], parts[0], parts[1], *parts[3:]])
    yield Good("metadata_order", "ancillary parts in another order", swapped)
    odd = header + part("q", b"?") + part("q", b"") + data[len(header) :]
    yield Good("ancillary_unknown", "an unknown ancillary part, twice, to be skipped", odd)
    small = saved(picture("RGB", 80, 60), preview=32)
    yield Good("preview", "a preview, which changes nothing", small)
    empty = header + part("x", b"") + join(b"", parts[3:])
    yield Good("metadata_empty", "a metadata part of length 0", empty)
    most = header + part("q", b"") * 1021 + data[len(header) :]
    yield Good("ancillary_most", "1024 ancillary parts, three of them known", most)


def _sequences() -> Iterator[Good]:
    first, *more = (picture("RGBA", 70, 40 + number).crop((0, 0, 70, 40)) for number in range(3))
    times = {"save_all": True, "append_images": more, "duration": [0, 40, 70000], "loop": 3}
    yield Good("sequence", "three frames of two tiles with alpha", saved(first, tile=64, **times))
    two = {"save_all": True, "append_images": [picture("L", 20, 12)]}
    header, (_, frame, _) = split(saved(picture("L", 20, 12), **two))
    most = pack_varint((1 << 31) - 1)
    data = join(header, [("F", most + b"\1" + most), frame])
    yield Good("times_most", "one frame; loop and duration 2^31 - 1", data)


def good() -> Iterator[Good]:
    """Yield the vectors in the order of `vectors.toml`."""
    example = saved(picture("RGBA", 12, 10), xmp=XMP, quality=30)
    yield Good("example", "the file of example.md", example)
    yield Good("rgb", "colour", saved(picture("RGB", 48, 40)))
    yield Good("l", "grey", saved(picture("L", 40, 24)))
    yield Good("rgba", "colour and opacity", saved(picture("RGBA", 40, 24)))
    yield Good("la", "grey and opacity", saved(picture("LA", 24, 40)))
    for quality in (1, 50, 75.5, 100):
        name = f"quality_{quality:g}".replace(".", "_")
        data = saved(picture("RGB", 70, 66), quality=quality)
        yield Good(name, f"quality {quality:g}", data)
    yield Good("quality_12", "level 1200, an anchor", saved(picture("RGB", 64, 64), quality=12))
    half = saved(picture("RGB", 70, 66), quality=1.55)
    yield Good("bias_half", "level 155, where biases are half-way between two numbers", half)
    yield Good("one_pixel", "1 x 1", saved(picture("RGB", 1, 1)))
    yield Good("one_row", "130 x 1", saved(picture("RGB", 130, 1)))
    yield Good("one_column", "1 x 130", saved(picture("L", 1, 130)))
    yield Good("exact_size", "128 x 64: no padding", saved(picture("RGB", 128, 64)))
    yield Good("odd_size", "sides that are no multiple of anything", saved(picture("RGB", 131, 67)))
    tiles = saved(picture("RGB", 150, 140), tile=64)
    yield Good("tiles", "3 x 3 tiles of 64", tiles)
    wide = saved(picture("RGBA", 300, 70), tile=128, quality=40)
    yield Good("tiles_128", "3 x 1 tiles of 128, with alpha", wide)
    one = saved(picture("RGB", 60, 50), tile=64)
    yield Good("tile_larger", "a tile that is larger than the image", one)
    yield Good("flat", "one colour: nearly nothing is coded", saved(Image.new("RGB", (200, 90))))
    yield Good("noise", "full-scale noise at quality 100", saved(noise(80, 72), quality=100))
    yield Good("escapes", "latents far outside the tables", drawn(5000, 128, 300, 40))
    yield Good("escapes_long", "escapes of up to 16 bits in z", drawn(10000, 192, 40000, 3))
    ends = 1 << ESCAPE_BITS, (2 << ESCAPE_BITS) - 1
    longest = escaped(*ends, *(-excess for excess in ends))
    yield Good("escapes_longest", f"escapes with {ESCAPE_BITS} prefix bits", longest)
    # No latents take a mean of these weights to its clamp.
    clamped = "values that every clamp meets but that of the means"
    yield Good("saturated", clamped, drawn(100, 128, 20, 600))
    yield Good("whole", "a whole payload, escapes among index 0", drawn(5000, 128, 300, 40, True))
    with whole_payloads():
        mixed = saved(picture("RGB", 48, 40), model="balle2017", quality=5)
    yield Good("whole_mixtures", "a whole payload of mixtures", mixed)
    grey = Image.fromarray(np.asarray(picture("L", 40, 24), np.uint16) * 250 + 7)
    yield Good("depth_16", "grey of 16 bits", saved(grey))
    yield Good("depth_16_rgba", "colour and opacity of 16 bits", deep("RGBA", 40, 24))
    yield from _sequences()
    yield from _alphas()
    yield from _parts()
    weights = [(name, tune) for name in lic_models.installed() for tune in lic_models.tuned(name)]
    for name, tune in weights:
        label, told = f"model_{name}", f"model {name}, 2 x 2 tiles"
        if tune != "psnr":
            label, told = f"{label}_{tune}", f"{told}, weights for {tune}"
        if name != MODEL:
            other = saved(picture("RGB", 150, 140), model=name, tile=128, quality=60, tune=tune)
            yield Good(label, told, other)
