"""What the vectors are checked with: strict reading, and the hash of the latents."""

from __future__ import annotations

import hashlib
import io

import numpy as np

import lic_models
from pillow_lic import _codec, alpha, container
from pillow_lic.header import Header


def read(data: bytes) -> tuple[Header, container.Parts]:
    """Do all that a reader of class container does."""
    file = io.BytesIO(data)
    header = container.read_header(file)
    parts = container.read_parts(file, header)
    if parts.alpha is not None:
        alpha.check(parts.alpha, header.width, header.height, header.depth)
    return header, parts


def latents_sha256(header: Header, parts: container.Parts) -> str:
    """Return the hash that `spec/README.md` defines."""
    with _codec.translated("decoding"):
        codec = lic_models.load(header.model, device="cpu", fingerprint=header.fingerprint)
        tiles = codec.decode_latents(
            parts.tiles, header.width, header.height, header.level, header.tile
        )
    digest = hashlib.sha256()
    for latents in tiles:
        assert latents is not None
        for name in codec.model.shapes(64, 64):
            digest.update(latents[name][0].numpy().astype(np.dtype("<i4")).tobytes())
    return digest.hexdigest()
