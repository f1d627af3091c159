"""What wavefronts save: one network decodes an image wave by wave, and position by position.

    python -m lic_models.wavefronts photo.png --model minnen2018 --threads 1

All code the same latents with the same parameters. Position by position there are two loops:
the one of published implementations, which runs a masked convolution and the parameter network
on the crop around each position, and that of this package with waves of one position. Prints the
time of each, the ratios, and whether the latents are equal, which they must be.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Generator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Annotated, Any, NamedTuple
from unittest.mock import patch

import torch
import torch.nn.functional as F
import typer
from torch import Tensor, nn

import lic_models

from . import coding, contexts, positions
from .base import Latents, Step
from .causal import Causal
from .codec import Codec
from .contexts import evidence
from .levels import level_from_quality
from .photos import read
from .positions import KERNEL
from .refusals import refusing

app = typer.Typer(add_completion=False, help=__doc__)

REPEATS = 3  # of each order; the fastest counts


class Measured(NamedTuple):
    """Seconds of decoding: by waves, by single positions, and by the loop as it is published.

    Also how many waves and positions y has, whether all orders decode the same, and the bytes.
    """

    waves_s: float
    single_s: float
    published_s: float
    waves: int
    positions: int
    equal: bool
    payload_bytes: int


def _single(height: int, width: int, kernel: int, device: torch.device | str) -> list[Tensor]:
    """What stands in for `positions.wavefronts`."""
    return list(torch.arange(height * width, device=device)[:, None])


def _masked(context: Causal) -> tuple[Tensor, Tensor]:
    """Weight (O, C, k, k) of the masked convolution that a layer on taps is, and its scale."""
    assert context._scale is not None
    offsets, weights = context.taps()
    full = weights.new_zeros(*weights.shape[1:], KERNEL, KERNEL)
    for (row, column), weight in zip(offsets, weights, strict=True):
        full[:, :, row + KERNEL // 2, column + KERNEL // 2] = weight
    return full, context._scale


def _published(
    channels: int,
    features: Tensor,
    context: Causal,
    parameters: nn.Module,
    level: Any,
    known: Tensor | None,
) -> Generator[Step, Tensor, None]:
    """What stands in for `contexts.waves` once its layers are frozen."""
    weight, scale = _masked(context)
    bias = context._at_level(int(level))
    height, width = features.shape[2:]
    margin = KERNEL - 1
    size = (1, 2 * channels, height + margin, width + margin)
    y = features.new_zeros(size, dtype=weight.dtype)
    centre = KERNEL // 2
    for i in range(height):
        for j in range(width):
            crop = y[:, :, i : i + KERNEL, j : j + KERNEL]
            near = (F.conv2d(crop, weight, bias) * scale).floor()
            near = near.clamp(context.lo, context.hi).to(features.dtype)
            here = features[:, :, i : i + 1, j : j + 1]
            found = parameters(torch.cat([here, near], 1), level)
            where = torch.tensor([i * width + j])
            values = yield Step("y", slice(0, channels), where, *found)
            y[:, :, i + centre, j + centre] = evidence(values)[:, :, 0, 0]


def _timed(codec: Codec, latents: Latents, level: int) -> tuple[float, dict[str, Tensor], int]:
    """Fastest decoding of latents in seconds, what it gave, and the bytes it took."""
    shapes = {name: (z.shape[1], z.shape[2], z.shape[3]) for name, z in latents.items()}
    payload, _ = coding.encode(codec.model, latents, level)
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        found = coding.decode(codec.model, payload, shapes, level)
        seconds.append(time.perf_counter() - start)
    return min(seconds), found, len(payload)


@torch.inference_mode()
def measure(codec: Codec, image: Tensor, level: int) -> Measured:
    """Code an image (3, H, W) in [0, 1] as one tile in each order, and time the decoders.

    On a CPU. Raises ValueError if the model has no wavefronts.
    """
    module = sys.modules[type(codec.model).__module__]
    if not hasattr(module, "waves"):
        raise ValueError(f"model: found {codec.name}, allowed are those with wavefronts")
    [latents] = codec.latents(image, level, 0)
    orders: list[AbstractContextManager[object]] = [
        nullcontext(),
        patch.object(contexts, "wavefronts", _single),
        patch.object(module, "waves", _published),
    ]
    seconds, found, sizes = [], [], []
    for order in orders:
        with order:
            took, decoded, size = _timed(codec, latents, level)
        seconds.append(took)
        found.append(decoded)
        sizes.append(size)
    height, width = latents["y"].shape[2:]
    waves = len(positions.wavefronts(height, width, KERNEL, "cpu"))
    equal = all(torch.equal(found[0][name], other[name]) for other in found[1:] for name in latents)
    waves_s, single_s, published_s = seconds
    return Measured(waves_s, single_s, published_s, waves, height * width, equal, sizes[0])


@app.command()
def main(
    photo: Annotated[Path, typer.Argument(help="An image of any format that Pillow reads.")],
    model: Annotated[str, typer.Option(help="A model with wavefronts.")] = "minnen2018",
    quality: Annotated[float, typer.Option(help="1 to 100.")] = 50,
    threads: Annotated[int, typer.Option(min=0, help="CPU threads; 0 for all.")] = 0,
) -> None:
    """Time all orders on one image and print JSON."""
    if threads:
        torch.set_num_threads(threads)
    with refusing():
        codec = lic_models.load(model, "cpu")
        level = level_from_quality(quality)
        image = read(photo).float() / 255
        measure(codec, image[:, :64, :64], level)  # warm-up, and not for all models
    found = measure(codec, image, level)
    ratios = {
        "waves_beside_single": found.single_s / found.waves_s,
        "waves_beside_published": found.published_s / found.waves_s,
    }
    typer.echo(json.dumps({**found._asdict(), **ratios}))
    if not found.equal:
        raise typer.Exit(1)


if __name__ == "__main__":
    app()
