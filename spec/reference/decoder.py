"""From a file to dequantised latents: entropy.md, sections 1 and 3; models.md, sections 1 and 4."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from .container import Container, parse
from .errors import PayloadError
from .layers import Integers, both, saturate, shuffle
from .rangecoder import Reader, Table, read_tables, write
from .weights import Model, find

STRIDE = 64  # pixels per sample of z
SAMPLE = 16  # pixels per sample of y
Latents = tuple[Integers, Integers]


@dataclass
class Decoded:
    container: Container
    model: Model
    latents: list[Latents]  # z and y of each tile, in 1/16 of a step

    @property
    def latents_sha256(self) -> str:
        digest = hashlib.sha256()
        for tile in self.latents:
            for latent in tile:
                digest.update(latent.astype("<i4").tobytes())
        return digest.hexdigest()


def coding_step(
    reader: Reader,
    tables: list[Table | None],
    mask: npt.NDArray[np.bool_],
    mean: Integers,
    index: Integers,
) -> Integers:
    """Decode the symbols at the mask and return their dequantised values, 0 elsewhere."""
    shape = mean.shape
    where = np.flatnonzero(np.broadcast_to(mask, shape) & (index > 0))  # C order
    numbers = index.ravel()[where]
    symbols = np.zeros(mean.size, np.int64)
    for number in range(1, len(tables)):
        run = where[numbers == number]
        table = tables[number]
        if len(run) and table:
            symbols[run] = reader.symbols(table, len(run))
    return np.where(mask, 16 * symbols.reshape(shape) + mean, 0)


def decode_tile(
    model: Model, tables: list[Table | None], level: int, height: int, width: int, reader: Reader
) -> Latents:
    """Decode one tile of the padded size `height` x `width`."""

    def layer(name: str, values: Integers) -> Integers:
        return model.layers[name](values, level)

    shape = (model.config["Z"], height // STRIDE, width // STRIDE)
    mean, index = (
        np.broadcast_to(model.layers[f"prior_z.{part}"].constant(level)[:, None, None], shape)
        for part in ("mean", "index")
    )
    z = coding_step(reader, tables, np.ones(shape[1:], bool), mean, index)
    features = shuffle(layer("h_s.layers.0", saturate(z)))
    features = layer("h_s.layers.2", shuffle(layer("h_s.layers.1", features)))

    size = (height // SAMPLE, width // SAMPLE)
    anchors = np.add.outer(np.arange(size[0]), np.arange(size[1])) % 2 == 0
    groups: list[Integers] = []
    for k, channels in enumerate(model.config["groups"]):
        known = [features]
        if k:
            before = np.concatenate([both(group) for group in groups])
            first = layer(f"channel.{k - 1}.layers.0", before)
            known.append(layer(f"channel.{k - 1}.layers.1", first))
        group = np.zeros((channels, *size), np.int64)
        for mask in (anchors, ~anchors):
            near = np.where(anchors, 0, layer(f"spatial.{k}", both(group)))
            name = f"parameters_y.{k}"
            inner = layer(f"{name}.body.layers.0", np.concatenate([*known, near]))
            inner = layer(f"{name}.body.layers.1", inner)
            mean, index = layer(f"{name}.mean", inner), layer(f"{name}.index", inner)
            group = group + coding_step(reader, tables, mask, mean, index)
        groups.append(group)
    return z, np.concatenate(groups)


def decode(path: Path, weights: Path, strict: bool = False) -> Decoded:
    """Decode a file with weights from a folder.

    `strict` also makes the check that entropy.md, section 6.5, leaves to the reader: that the
    payload is the one that a writer would have written for these letters.
    """
    container = parse(path.read_bytes())
    header = container.header
    model = find(weights, header.model, header.fingerprint)
    tables = read_tables(Path(__file__).parent.parent / "tables.txt")
    latents = []
    for size, payload in zip(header.tiles(STRIDE), container.payloads, strict=True):
        reader = Reader(payload)
        reader.log = [] if strict else None
        latents.append(decode_tile(model, tables, header.level, *size, reader))
        reader.finish()
        if reader.log is not None and write(reader.log) != payload:
            raise PayloadError("payload: not what a writer writes for its letters")
    return Decoded(container, model, latents)
