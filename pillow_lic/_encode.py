"""Pixels to a whole file, at a quality or as near as can be to a target.

`lic_models` is imported inside the functions, because saving another format must not load torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from . import alpha
from ._codec import calling, grey, translated
from ._rate import Target, guess, search
from .container import Header, Timing, write_frames
from .header import MODES, QUALITY_DEFAULT

if TYPE_CHECKING:
    from lic_models.codec import Codec
    from lic_models.pixels import Pixels
    from lic_models.transforms import Kept

__all__ = ["begun", "encode"]


def begun(
    model: str, quality: object, device: str, tune: str, **fields: Any
) -> tuple[Codec, Header]:
    """Return the codec and the header, which has these fields too, of a file to be written.

    Raises ValueError for what cannot be stored, before the long work.
    """
    import lic_models

    level = lic_models.level_from_quality(quality)
    codec = lic_models.load(lic_models.model_name(model), device=device, tune=tune)
    header = Header(model=codec.model_id, fingerprint=codec.fingerprint, level=level, **fields)
    header.pack()
    return codec, header


def encode(
    frames: Sequence[Pixels],
    metadata: Mapping[str, bytes],
    *,
    model: str,
    quality: object,
    tile: int,
    device: str,
    effort: int | None,
    tune: str,
    target: Target | None = None,
    timing: Timing | None = None,
    on_tile: Callable[[], object] | None = None,
) -> bytes:
    """Return the whole file for frames (H, W, C) of one shape, uint8 or uint16, 1 to 4 channels.

    There is one, or timing for each. With a target the level is searched for, and `quality` means
    nothing. `on_tile` is called after each tile, of each attempt at a target.
    """
    with translated("encoding"):
        height, width, channels = frames[0].shape
        mode, depth = MODES[channels - 1], 8 * frames[0].itemsize
        fields = {"width": width, "height": height, "mode": mode, "tile": tile, "depth": depth}
        fields["sequence"] = timing is not None
        quality = QUALITY_DEFAULT if target else quality  # to begin with
        codec, header = begun(model, quality, device, tune, **fields)
        # What attempts share; of many frames it would take memory.
        kept: Kept | None = {} if target and len(frames) == 1 else None
        how = {"effort": effort, "tune": tune, "on_tile": calling(on_tile), "kept": kept}
        encoder = _Encoder(codec, header, frames, metadata, timing, how)
        if target is None:
            return encoder.file(header.level)
        files: dict[int, bytes] = {}

        def measure(level: int) -> float:
            if target.is_size:
                files[level] = encoder.file(level)
                return len(files[level])
            files[level], found = encoder.file_and_psnr(level)
            return found

        start = guess(target, _colours(frames[0]), len(frames))
        return files[search(target, measure, start)]


class _Encoder:
    """Frames that become a file, at one level or at several, one after another."""

    def __init__(
        self,
        codec: Codec,
        header: Header,
        frames: Sequence[Pixels],
        metadata: Mapping[str, bytes],
        timing: Timing | None,
        how: Mapping[str, Any],
    ) -> None:
        self.codec, self.header, self.frames = codec, header, frames
        self.metadata, self.timing = metadata, timing
        self.how = {"tile": header.tile, **how}  # what `Codec.encode_tiles` takes besides
        self.alphas = [alpha.encode(f[..., -1]) if header.has_alpha else None for f in frames]

    def file(self, level: int) -> bytes:
        """Return the file at a level."""
        coded = (self.codec.encode_tiles(_colours(f), level, **self.how) for f in self.frames)
        return self._whole(level, coded)

    def file_and_psnr(self, level: int) -> tuple[bytes, float]:
        """Return the file at a level, and the PSNR of what it shows, all frames together."""
        import numpy as np

        coded, errors = [], []
        white = 2**self.header.depth - 1
        for rgb in map(_colours, self.frames):
            tiles, seen = self.codec.encode_seen(rgb, level, **self.how)
            coded.append(tiles)
            seen = grey(seen) if self.header.mode.startswith("L") else seen
            errors.append(np.square((seen.astype(np.float32) - rgb) / white).mean())
        return self._whole(level, coded), float(-10 * np.log10(max(np.mean(errors), 1e-9)))

    def _whole(self, level: int, coded: Iterable[Sequence[bytes]]) -> bytes:
        header = self.header._replace(level=level)
        frames = zip(self.alphas, coded, strict=True)
        return b"".join(write_frames(header, self.metadata, self.timing, frames))


def _colours(frame: Pixels) -> Pixels:
    """Return the colours (H, W, 3) of a frame (H, W, 1 to 4)."""
    import numpy as np

    if frame.shape[2] < 3:
        return np.repeat(frame[..., :1], 3, axis=2)
    return np.require(frame[..., :3], requirements=["C", "W"])  # torch warns of read-only
