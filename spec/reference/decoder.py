"""From a file to dequantised latents: entropy.md, section 1; models.md, section 1."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from .container import Container, parse
from .errors import PayloadError
from .layers import Integers
from .rangecoder import Reader, read_tables, write
from .steps import STRIDE, Tile, decode_tile
from .weights import Model, find


@dataclass
class Decoded:
    container: Container
    model: Model
    latents: list[list[dict[str, Integers]]]  # of each frame and tile, in coding order

    @property
    def latents_sha256(self) -> str:
        digest = hashlib.sha256()
        for tile in (tile for frame in self.latents for tile in frame):
            for latent in tile.values():
                digest.update(latent.astype("<i4").tobytes())
        return digest.hexdigest()


def decode(path: Path, weights: Path, strict: bool = False) -> Decoded:
    """Decode a file with weights from a folder.

    `strict` also makes the check that entropy.md, section 6.5, leaves to the reader: that the
    payload is the one that a writer would have written for these letters.
    """
    container = parse(path.read_bytes())
    header = container.header
    model = find(weights, header.model, header.fingerprint)
    tables = read_tables(Path(__file__).parent.parent / "tables.txt")

    def one(size: tuple[int, int], payload: bytes) -> dict[str, Integers]:
        reader = Reader(payload)
        reader.log = [] if strict else None
        tile = Tile(model.config, model.layers, tables, header.level, size, reader)
        found = decode_tile(model.name, tile)
        reader.finish()
        if reader.log is not None and write(reader.log) != payload[reader.whole :]:
            raise PayloadError("payload: not what a writer writes for its letters")
        return found

    latents = [
        [one(*tile) for tile in zip(header.tiles(STRIDE), frame.payloads, strict=True)]
        for frame in container.frames
    ]
    return Decoded(container, model, latents)
