"""`.lic` files to tensors and back, past Pillow: pixels stay on the device that decoded them.

```python
from torch.utils.data import DataLoader
from pillow_lic import tensors

photos = tensors.LicFolder("photos/", device="cuda")
loader = DataLoader(photos, batch_size=16, collate_fn=photos.decode)
for batch in loader:  # a list of uint8 (3, H, W) on the device, uint16 where a file has 16 bits
    ...
```

The loader reads bytes, which worker processes may do; `decode` runs the networks, so it belongs in
the process that owns the device: with `num_workers`, call it on what the loader yields.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import torch
from torch.utils.data import Dataset

from lic_models.atomic import replacing
from lic_models.folders import inside

from . import _codec, _encode, _options, container
from ._streams import seekable
from .container import Header, Parts
from .header import MODEL_DEFAULT, QUALITY_DEFAULT

if TYPE_CHECKING:
    from torch import Tensor

    from .header import Box

__all__ = ["LicFile", "LicFolder", "decode", "read", "write"]

Source = str | os.PathLike[str] | IO[bytes]


class LicFile(NamedTuple):
    """A file's header and checked parts: bytes only, cheap to send between processes."""

    header: Header
    parts: Parts

    @classmethod
    def load(cls, source: Source) -> LicFile:
        """Read a path or an open binary file, of a sequence the first frame.

        Raises LicError if it is damaged, ValueError if it is neither.
        """
        if isinstance(source, str | os.PathLike):
            with open(source, "rb") as file:
                return cls.load(file)
        if not hasattr(source, "read"):
            found = type(source).__name__
            raise ValueError(f"source: found {found}, allowed are a path and an open binary file")
        source = seekable(source)
        header = container.read_header(source)
        return cls(header, container.read_parts(source, header))


def read(source: Source, *, device: str = "auto", region: Box | None = None) -> Tensor:
    """Return the pixels of a file, or of a region (left, upper, right, lower): (C, H, W).

    Of a sequence they are those of the first frame; `pillow_lic.open` and imageio have them all.
    C is 1, 2, 3 or 4, for the modes L, LA, RGB and RGBA; uint8, or uint16 if the file has 16 bits
    per sample. Raises LicError, and `PIL.Image.DecompressionBombError` as `PIL.Image.open` does.
    """
    header, parts = LicFile.load(source)
    with _codec.translated("decoding"):
        codec = _codec.codec_of(header, device)
        size = header.width, header.height
        left, upper, right, lower = (
            (0, 0, *size) if region is None else _options.inside(region, size)
        )
        _options.check_size((left, upper, right, lower))
        rgb = codec.decode_tensor(_codec.coded(header, parts), (upper, left, lower, right))
        return _channels(rgb, header, parts, (left, upper, right, lower))


def decode(files: Sequence[LicFile], device: str = "auto") -> list[Tensor]:
    """Return the pixels of several files, as `read` does; equal sizes share a synthesis.

    Raises as `read` does, and ValueError for what is no LicFile.
    """
    for each in files:
        if not isinstance(each, LicFile):
            raise ValueError(f"files: found {type(each).__name__}, allowed are LicFile")
    groups: dict[tuple[int, bytes], list[int]] = {}
    for at, (header, _) in enumerate(files):
        _options.check_size((0, 0, header.width, header.height))
        groups.setdefault((header.model, header.fingerprint), []).append(at)
    out: dict[int, Tensor] = {}
    with _codec.translated("decoding"):
        for members in groups.values():
            codec = _codec.codec_of(files[members[0]].header, device)
            found = codec.decode_batch([_codec.coded(*files[at]) for at in members])
            for at, rgb in zip(members, found, strict=True):
                header, parts = files[at]
                out[at] = _channels(rgb, header, parts, (0, 0, header.width, header.height))
    return [out[at] for at in range(len(files))]


def write(
    target: str | os.PathLike[str] | IO[bytes],
    x: Tensor,
    *,
    model: str = MODEL_DEFAULT,
    quality: float = QUALITY_DEFAULT,
    effort: int | None = None,
    tune: str | None = None,
    tile: int | None = None,
    device: str = "auto",
    bit_depth: int | None = None,
) -> None:
    """Write an RGB image (3, H, W): floats in [0, 1], uint8 or uint16.

    `bit_depth` is what readers are told, 8 or 16; by default 16 for uint16, else 8; the other
    options are those of `save`. Raises ValueError for a bad argument; a write that fails leaves
    what a path held before.
    """
    if not isinstance(x, torch.Tensor):
        raise ValueError(f"x: found {type(x).__name__}, allowed is a tensor")
    if x.dim() != 3 or x.shape[0] != 3 or 0 in x.shape:
        raise ValueError(f"x: found a tensor of shape {tuple(x.shape)}, allowed is (3, H, W)")
    if not isinstance(target, str | os.PathLike) and not hasattr(target, "write"):
        found = type(target).__name__
        raise ValueError(f"target: found {found}, allowed are a path and an open binary file")
    depth = (16 if x.dtype == torch.uint16 else 8) if bit_depth is None else bit_depth
    if not x.is_floating_point():
        if x.dtype not in (torch.uint8, torch.uint16):
            raise ValueError(f"x: found {x.dtype}, allowed are floats, uint8 and uint16")
        x = x.float() / (65535 if x.dtype == torch.uint16 else 255)
    height, width = x.shape[1:]
    edge = _options.tile_edge({"tile": tile}, (width, height))
    effort = _options.effort({"effort": effort})
    tune = _options.tune({"tune": tune})
    with _codec.translated("encoding"):
        fields = {"width": width, "height": height, "mode": "RGB", "tile": edge, "depth": depth}
        codec, header = _encode.begun(model, quality, device, tune, **fields)
        tiles = codec.encode_tiles(x, header.level, edge, effort=effort, tune=tune)
        data = container.write(header, {}, None, tiles)
    if isinstance(target, str | os.PathLike):
        with replacing(Path(target)) as path:
            path.write_bytes(data)
    else:
        target.write(data)


class LicFolder(Dataset[Any]):
    """The `.lic` files under a folder, in order of their paths; an item is a `LicFile`.

    Args:
        folder: searched with all folders below it. device: where `decode` runs.
        transform: called with each (C, H, W) that `decode` makes, uint8 or, of 16 bits, uint16.

    Raises ValueError if there are none, OSError if a folder cannot be read.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        device: str = "auto",
        transform: Callable[[Tensor], Any] | None = None,
    ) -> None:
        self.paths = inside(folder, {".lic"})
        self.device, self.transform = device, transform
        if not self.paths:
            raise ValueError(f"folder: found no .lic file under {folder}")

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> LicFile:
        return LicFile.load(self.paths[index])

    def decode(self, files: Sequence[LicFile]) -> list[Any]:
        """Return what the transform makes of each file's pixels; serves as a `collate_fn`."""
        found = decode(files, self.device)
        return found if self.transform is None else [self.transform(x) for x in found]


def _channels(rgb: Tensor, header: Header, parts: Parts, region: Box) -> Tensor:
    """Make of decoded colours what the mode says."""
    if header.mode == "RGB" and header.depth == 8:
        # one that a caller may change in place, and view
        return rgb.clone(memory_format=torch.contiguous_format)
    if header.mode.startswith("L"):
        rgb = (rgb.to(torch.int32).sum(0, keepdim=True) + 1).div(3, rounding_mode="floor")
    planes = [rgb]
    if header.has_alpha:
        plane = _codec.opacity(header, parts, header.depth, region)
        planes.append(torch.tensor(plane.astype("i4"), device=rgb.device)[None])
    together = torch.cat([each.to(torch.int32) for each in planes])
    return together.to(torch.uint8 if header.depth == 8 else torch.uint16)
