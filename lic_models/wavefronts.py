"""What wavefronts save: one network decodes an image wave by wave, and position by position.

    python -m lic_models.wavefronts photo.png --model minnen2018

Both orders code the same latents with the same parameters; only the batches differ. Prints the
time of each, the ratio, and whether the latents are equal, which they must be.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, NamedTuple
from unittest.mock import patch

import torch
import typer
from torch import Tensor

import lic_models

from . import coding, contexts, positions
from .codec import Codec
from .levels import level_from_quality
from .train.data import read

app = typer.Typer(add_completion=False, help=__doc__)


class Measured(NamedTuple):
    """Seconds of decoding, and how many coding steps y took, in either order."""

    waves_s: float
    raster_s: float
    waves: int
    positions: int
    equal: bool
    payload_bytes: int

    @property
    def ratio(self) -> float:
        return self.raster_s / self.waves_s


def _raster(height: int, width: int, kernel: int, device: torch.device | str) -> list[Tensor]:
    return list(torch.arange(height * width, device=device)[:, None])


@contextmanager
def _order(order: Callable[..., list[Tensor]]) -> Iterator[list[int]]:
    """Let models code y in another order; yields a list that counts its steps."""
    counts: list[int] = []

    def noted(*arguments: object) -> list[Tensor]:
        found = order(*arguments)
        counts.append(len(found))
        return found

    with patch.object(contexts, "wavefronts", noted):
        yield counts


@torch.inference_mode()
def measure(codec: Codec, image: Tensor, level: int) -> Measured:
    """Code an image (3, H, W) in [0, 1] as one tile in both orders, and time the decoders.

    Raises ValueError if the model has no wavefronts.
    """
    [latents] = codec._latents(image, level, 0)
    shapes = {name: (z.shape[1], z.shape[2], z.shape[3]) for name, z in latents.items()}
    seconds, steps, found, sizes = [], [], [], []
    for order in (positions.wavefronts, _raster):
        with _order(order) as counts:
            payload, _ = coding.encode(codec.model, latents, level)
            start = time.perf_counter()
            found.append(coding.decode(codec.model, payload, shapes, level))
            seconds.append(time.perf_counter() - start)
        if not counts:
            raise ValueError(f"model: found {codec.name}, allowed are those with wavefronts")
        steps.append(counts[-1])
        sizes.append(len(payload))
    equal = all(torch.equal(found[0][name], found[1][name]) for name in shapes)
    return Measured(seconds[0], seconds[1], steps[0], steps[1], equal, sizes[0])


@app.command()
def main(
    photo: Annotated[Path, typer.Argument(help="An image of any format that Pillow reads.")],
    model: Annotated[str, typer.Option(help="A model with wavefronts.")] = "minnen2018",
    quality: Annotated[float, typer.Option(help="1 to 100.")] = 50,
    threads: Annotated[int, typer.Option(min=0, help="CPU threads; 0 for all.")] = 0,
) -> None:
    """Time both orders on one image and print JSON."""
    if threads:
        torch.set_num_threads(threads)
    codec = lic_models.load(model, "cpu")
    level = level_from_quality(quality)
    image = read(photo).float() / 255
    measure(codec, image[:, :64, :64], level)  # warm-up
    found = measure(codec, image, level)
    typer.echo(json.dumps({**found._asdict(), "ratio": found.ratio}))
    if not found.equal:
        raise typer.Exit(1)


if __name__ == "__main__":
    app()
