"""The two drivers that meet bytes: `encode` and `decode`.

What networks hold for certain, index 0, is not coded. They are wrong about some pictures that are
unlike photos, by any number of steps; then every position is coded, at four thousandths of a bit
for each that was not, and the payload starts with a byte that says so.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .base import Latents, Mixture, Model, Step
from .entropy import UNIT, Shapes, drive
from .errors import StreamError
from .positions import take
from .rangecoder import SymbolDecoder, SymbolEncoder

__all__ = ["coded_positions", "decode", "encode", "encode_as"]

WHOLE = b"\1"  # what payloads start with all of whose positions are coded
WRONG = 2.0  # steps that what is not coded may be off without a second thought
STEP = 8.7  # bits that a squared step of y is worth, whatever the level: 26 / 3, where training
# has steps of sqrt(26 / lmbda) / 255


def coded_positions(step: Step, whole: bool = False) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Which positions of a (1, C, H, W) step are coded, and their scale indices in C order."""
    index = step.index[0].to("cpu", torch.uint8).numpy()
    index = np.maximum(index, 1) if whole else index
    live = index > 0
    return live, index[live].astype(np.int64)


def _components(mixture: Mixture, live: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Offset, index and weight of the coded positions, (3, K, n) in C order."""
    parts = mixture.offset, mixture.index, mixture.weight
    narrow = [part[:, 0].to("cpu", torch.int32) for part in parts]
    return torch.stack(narrow).numpy()[:, :, live]


def encode(model: Model, latents: Latents, level: int) -> tuple[bytes, dict[str, Tensor]]:
    """Code the latents of one image; returns the bytes and the dequantised latents."""
    plain = encode_as(model, latents, level, whole=False)
    if all((plain[1][n] / UNIT - latents[n]).abs().max() <= WRONG for n in latents):
        return plain

    def cost(coded: tuple[bytes, dict[str, Tensor]]) -> float:
        off = coded[1]["y"] / UNIT - latents["y"]
        return 8 * len(coded[0]) + STEP * float(off.double().square().sum())

    return min(plain, encode_as(model, latents, level, whole=True), key=cost)


@torch.inference_mode()
def encode_as(
    model: Model, latents: Latents, level: int, whole: bool
) -> tuple[bytes, dict[str, Tensor]]:
    """Do what `encode` does, with all positions coded or not.

    Where a position would not have to be, its symbol is 0 all the same unless it is far off.
    """
    coder = SymbolEncoder()

    def answer(step: Step) -> Tensor:
        value = take(latents[step.latent][:, step.channels], step.positions)
        value = value - step.mean / UNIT
        live, indices = coded_positions(step, whole)
        kept = live
        if whole:
            kept = ((step.index >= 0.5) | (value.abs() > WRONG))[0].cpu().numpy()
        symbol = (value + 0.5).floor()[0].cpu().numpy()
        symbol = np.where(kept, symbol, 0).astype(np.int32)
        if step.mixture is None:
            coder.encode(symbol[live], indices)
        else:
            coder.encode_mixtures(symbol[live], _components(step.mixture, live))
        return torch.from_numpy(symbol)[None].to(step.mean) * UNIT + step.mean

    shapes = {name: tuple(latent.shape[1:]) for name, latent in latents.items()}
    dequantised = drive(model, shapes, level, answer)  # type: ignore[arg-type]
    return WHOLE * whole + coder.finish(), dequantised


@torch.inference_mode()
def decode(model: Model, data: bytes, shapes: Shapes, level: int) -> dict[str, Tensor]:
    """Return the dequantised latents (1/16 of a step) that `encode` saw.

    Raises StreamError if the bytes are not what an encoder writes.
    """
    whole = data[:1] == WHOLE and len(data) % 4 == 1
    coder = SymbolDecoder(data[whole:])

    def answer(step: Step) -> Tensor:
        live, indices = coded_positions(step, whole)
        symbol = np.zeros(live.shape, np.float32)
        if step.mixture is None:
            symbol[live] = coder.decode(indices)
        else:
            symbol[live] = coder.decode_mixtures(_components(step.mixture, live))
        return torch.from_numpy(symbol)[None].to(step.mean) * UNIT + step.mean

    latents = drive(model, shapes, level, answer)
    if not coder.exhausted():
        raise StreamError("payload: found words after the last symbol, allowed are none")
    return latents
