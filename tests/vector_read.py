"""What the vectors are checked with: strict reading, and the hash of the latents."""

from __future__ import annotations

import hashlib
import io

import numpy as np

import lic_models
from pillow_lic import _codec, alpha, container
from pillow_lic.header import Header


def read(data: bytes) -> tuple[Header, list[container.Parts]]:
    """Do all that a reader of class container does; returns the frames."""
    file = io.BytesIO(data)
    header = container.read_header(file)
    frames = list(container.read_frames(file, header))
    for frame in frames:
        if frame.alpha is not None:
            alpha.check(frame.alpha, header.width, header.height, header.depth)
    return header, frames


def latents_sha256(header: Header, frames: list[container.Parts]) -> str:
    """Return the hash that `spec/README.md` defines."""
    digest = hashlib.sha256()
    with _codec.translated("decoding"):
        codec = lic_models.load(header.model, device="cpu", fingerprint=header.fingerprint)
        for frame in frames:
            for latents in codec.decode_latents(_codec.coded(header, frame)):
                assert latents is not None
                for name in codec.model.shapes(64, 64):
                    digest.update(latents[name][0].numpy().astype(np.dtype("<i4")).tobytes())
    return digest.hexdigest()
