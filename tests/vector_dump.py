"""The text of `spec/example.md`: a file byte by byte, and what its payload decodes to."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
import torch

import lic_models
from lic_models.base import Step
from lic_models.coding import coded_positions
from lic_models.entropy import UNIT, drive
from lic_models.rangecoder import SymbolDecoder, _Groups
from pillow_lic import container
from pillow_lic.header import pack_varint

HEAD = """# Example: `vectors/example.lic`

This file is made by `tests/make_vectors.py`, and a test compares it with the vector.

## Bytes

```
"""


def _rows(at: int, data: bytes, meaning: str) -> Iterator[str]:
    for start in range(0, max(len(data), 1), 8):
        piece = data[start : start + 8].hex(" ").upper()
        yield f"{at + start:04X}  {piece:<24} {meaning if not start else ''}".rstrip()


def _fields(data: bytes) -> Iterator[tuple[bytes, str]]:
    """Split a sound file into fields with their meaning."""
    file = io.BytesIO(data)
    header = container.read_header(file)
    parts = container.read_parts(file, header)
    width, height = pack_varint(header.width), pack_varint(header.height)
    for size, meaning in (
        (8, "signature"),
        (1, "version 1"),
        (1, "flags"),
        (1, f"format: colour mode {data[10] & 15} ({header.mode}), {header.depth} bits"),
        (1, f"model {header.model} ({header.model_name})"),
        (8, "fingerprint of the weights"),
        (2, f"level {header.level}"),
        (1, "tile 0: one tile"),
        (len(width), f"width {header.width}"),
        (len(height), f"height {header.height}"),
        (4, "CRC-32 of the header"),
    ):
        yield data[:size], meaning
        data = data[size:]
    found = [*parts.metadata.items(), ("A", parts.alpha), *(("T", tile) for tile in parts.tiles)]
    names = {"i": "ICC profile", "e": "EXIF", "x": "XMP", "A": "alpha", "T": "tile"}
    for tag, body in found:
        if body is None:
            continue
        length = pack_varint(len(body))
        yield tag.encode(), f"tag {tag}: {names[tag]}"
        yield length, f"length {len(body)}"
        if tag == "A":
            yield body[:1], f"alpha filter {body[0]}"
            yield body[1:], "constant" if body[0] == 4 else "zlib stream"
        else:
            yield body, "payload" if tag == "T" else "data"
        crc = data[1 + len(length) + len(body) :][:4]
        yield crc, f"CRC-32 of part {tag}"
        data = data[5 + len(length) + len(body) :]


def _steps(data: bytes) -> Iterator[str]:
    """Describe each coding step of the only tile."""
    file = io.BytesIO(data)
    header = container.read_header(file)
    payload = container.read_parts(file, header).tiles[0]
    codec = lic_models.load(header.model, device="cpu", fingerprint=header.fingerprint)
    assert payload is not None
    coder = SymbolDecoder(payload)
    lines: list[str] = []

    def answer(step: Step) -> torch.Tensor:
        live, indices = coded_positions(step)
        decoded = coder.decode(indices)
        symbols = np.zeros(live.shape, np.float32)
        symbols[live] = decoded
        groups = _Groups(indices)
        decoded = decoded[groups.order]
        runs = [f"{i}: {' '.join(map(str, decoded[part]))}" for i, part in groups.slices]
        which = range(*step.channels.indices(10**6)) if step.channels.stop else "all"
        where = f"{which.start} to {which.stop - 1}" if isinstance(which, range) else which
        means = " ".join(str(int(v)) for v in step.mean[0, :4, 0, 0])
        cell = "; ".join(runs) or "(none)"
        lines.append(f"| {len(lines)} | {step.latent} | {where} | {means} | {cell} |")
        return torch.from_numpy(symbols)[None] * UNIT + step.mean

    shapes = codec.model.shapes(-(-header.height // 64) * 64, -(-header.width // 64) * 64)
    with torch.inference_mode():
        latents = drive(codec.model, shapes, header.level, answer)
    yield from lines
    yield ""
    for name, values in latents.items():
        row = " ".join(str(int(v)) for v in values[0, 0, 0])
        yield f"First row of channel 0 of `{name}`, in 1/16 of a step: {row}."


def text(data: bytes) -> str:
    """Return `example.md` for the bytes of a file with one tile."""
    lines, at = [], 0
    for piece, meaning in _fields(data):
        lines += _rows(at, piece, meaning)
        at += len(piece)
    steps = [
        "```",
        "",
        "## Coding steps",
        "",
        "The fourth column has the means of the first channels at the first position of the step.",
        "The last column has the runs, `index: symbols`, in the order in which they are coded.",
        "",
        "| step | latent | channels | means | runs |",
        "|---|---|---|---|---|",
        *_steps(data),
    ]
    return HEAD + "\n".join([*lines, *steps]) + "\n"
