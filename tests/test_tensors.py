"""Files to tensors without Pillow: the same pixels, one by one, in batches, by regions."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from samples import lic, opened, photo, picture
from torch.utils.data import DataLoader

from lic_models.transforms import Transforms
from pillow_lic import errors, tensors

MODES = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}


def pixels(image: Image.Image) -> torch.Tensor:
    found = np.array(image)
    return torch.from_numpy(found if found.ndim == 3 else found[..., None]).permute(2, 0, 1)


def apart(one: torch.Tensor, other: torch.Tensor) -> int:
    assert (one.shape, one.dtype) == (other.shape, other.dtype)
    return int((one.short() - other.short()).abs().max())


@pytest.mark.parametrize("mode", MODES)
def test_read(mode: str, tmp_path: Path):
    data = lic(picture(mode, (150, 90)), tile=64)
    path = tmp_path / "a.lic"
    path.write_bytes(data)
    found = tensors.read(path)
    assert found.shape == (MODES[mode], 90, 150)
    assert apart(found, pixels(opened(data))) == 0
    region = 70, 20, 140, 25
    for box in (region, np.array(region)):
        part = tensors.read(io.BytesIO(data), region=box)  # type: ignore[arg-type]
        assert apart(part, found[:, 20:25, 70:140]) <= 1


def test_batches(tmp_path: Path):
    """Other sizes, modes and qualities beside each other."""
    for at, (mode, size) in enumerate(
        [("RGB", (70, 60)), ("L", (70, 60)), ("RGBA", (130, 40)), ("RGB", (70, 60))]
    ):
        data = lic(picture(mode, size), quality=20 + 20 * at, tile=64 * (at % 2))
        (tmp_path / f"{at}.lic").write_bytes(data)
    folder = tensors.LicFolder(tmp_path, device="cpu")
    assert len(folder) == 4
    loader = DataLoader(folder, batch_size=3, collate_fn=folder.decode)
    found = [x for batch in loader for x in batch]
    for path, x in zip(folder.paths, found, strict=True):
        assert apart(x, tensors.read(path)) <= 1
    halved = tensors.LicFolder(tmp_path, transform=lambda x: x.shape)
    assert halved.decode([halved[2]]) == [(4, 40, 130)]


def test_equal_sizes_share_a_synthesis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for at, width in enumerate((70, 50, 70)):
        (tmp_path / f"{at}.lic").write_bytes(lic(picture("RGB", (width, 60))))
    folder = tensors.LicFolder(tmp_path, device="cpu")
    sizes: list[tuple[int, ...]] = []
    plain = Transforms.pixels

    def pixels(self: Transforms, y_hat: torch.Tensor, *rest: Any) -> torch.Tensor:
        sizes.append(tuple(y_hat.shape[::3]))
        return plain(self, y_hat, *rest)

    monkeypatch.setattr(Transforms, "pixels", pixels)
    folder.decode([folder[at] for at in range(3)])
    assert sorted(sizes) == [(1, 4), (2, 8)]


def test_workers_read_and_the_owner_decodes(tmp_path: Path):
    for at in range(3):
        (tmp_path / f"{at}.lic").write_bytes(lic(picture("RGB", (40 + at, 30))))
    folder = tensors.LicFolder(tmp_path)
    loader = DataLoader(folder, batch_size=2, collate_fn=list, num_workers=1)
    shapes = [x.shape for files in loader for x in folder.decode(files)]
    assert shapes == [(3, 30, 40), (3, 30, 41), (3, 30, 42)]


@pytest.mark.parametrize("kind", ["float", "uint8"])
def test_write(kind: str, tmp_path: Path):
    x = photo(50, 70)
    given = x if kind == "float" else (x * 255).round().to(torch.uint8)
    tensors.write(tmp_path / "a.lic", given, model="tiny", quality=60)
    file = io.BytesIO()
    tensors.write(file, given, model="tiny", quality=60)
    assert file.getvalue() == (tmp_path / "a.lic").read_bytes()
    with Image.open(tmp_path / "a.lic") as image:
        assert (image.mode, image.size, image.info["quality"]) == ("RGB", (70, 50), 60)
        assert apart(pixels(image), tensors.read(tmp_path / "a.lic")) == 0
    tensors.write(tmp_path / "a.lic", given, model="tiny", tile=64)
    assert tensors.LicFile.load(tmp_path / "a.lic").header.tile == 64
    with pytest.raises(ValueError, match="device: found 'abacus'"):
        tensors.write(tmp_path / "a.lic", given, model="tiny", device="abacus")


def test_writing_leaves_the_callers_graph_alone():
    """Effort runs backwards: through its own latents, not on into what made the picture."""
    gain = torch.nn.Parameter(torch.ones(3, 1, 1))
    x = photo(64, 64) * gain
    loss = x.square().sum()
    tensors.write(io.BytesIO(), x, model="tiny", effort=1)
    assert gain.grad is None
    loss.backward()  # the graph is still there
    assert gain.grad is not None


def test_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What was there stays, and nothing half-written is left."""
    path = tmp_path / "a.lic"
    path.write_bytes(b"before")

    def fail(self: Path, data: bytes):
        with self.open("wb") as file:
            file.write(data[:10])
        raise OSError("no space left")

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(OSError, match="no space"):
        tensors.write(path, photo(50, 70), model="tiny")
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("a.lic", b"before")]


def test_bombs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Pillow's limit holds without Pillow, too; a region counts as what it is."""
    path = tmp_path / "a.lic"
    path.write_bytes(lic(picture("RGB", (200, 200)), tile=64))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 64 * 64)
    with pytest.raises(Image.DecompressionBombError):
        tensors.read(path)
    with pytest.raises(Image.DecompressionBombError):
        tensors.decode([tensors.LicFile.load(path)])
    found = tensors.read(path, region=(0, 0, 50, 50))
    assert found.shape == (3, 50, 50)
    assert found.is_contiguous()
    path.write_bytes(lic(picture("RGBA", (200, 200)), tile=64))
    with pytest.raises(Image.DecompressionBombError):  # opacity is decoded as a whole
        tensors.read(path, region=(0, 0, 50, 50))


def test_errors(tmp_path: Path):
    with pytest.raises(ValueError, match="found ndarray"):
        tensors.write(tmp_path / "a.lic", np.zeros((3, 4, 4)))  # type: ignore[arg-type]
    data = lic(picture("RGB", (70, 60)))
    with pytest.raises(errors.TruncatedError):
        tensors.read(io.BytesIO(data[:-1]))
    with pytest.raises(errors.FormatError, match="signature"):
        tensors.read(io.BytesIO(b"x" * 40))
    with pytest.raises(ValueError, match="files: found BytesIO, allowed are LicFile"):
        tensors.decode([io.BytesIO(data)])  # type: ignore[list-item]
    for region in ((0, 0, 71, 1), ()):
        with pytest.raises(ValueError, match="region"):
            tensors.read(io.BytesIO(data), region=region)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="folder"):
        tensors.LicFolder(tmp_path)
    (tmp_path / ".hidden").mkdir()
    for name in ("._a.lic", ".a.0123abcd.lic", "a.txt", ".hidden/a.lic"):
        (tmp_path / name).write_bytes(b"no picture")
    (tmp_path / "folder.lic").mkdir()
    (tmp_path / "B.LIC").write_bytes(data)
    assert [path.name for path in tensors.LicFolder(tmp_path).paths] == ["B.LIC"]
    with pytest.raises(ValueError, match="bit depth: found 0"):
        tensors.write(tmp_path / "b.lic", torch.zeros(3, 5, 5), bit_depth=0)
    for x in (torch.zeros(1, 5, 5), torch.zeros(3, 0, 5), torch.zeros(3, 5, 5).int()):
        with pytest.raises(ValueError, match="x: found"):
            tensors.write(tmp_path / "b.lic", x, model="tiny")
    with pytest.raises(ValueError, match="quality"):
        tensors.write(tmp_path / "b.lic", torch.zeros(3, 5, 5), quality=0)
    assert not (tmp_path / "b.lic").exists()
    with pytest.raises(FileNotFoundError) as caught:
        tensors.write(tmp_path / "gone" / "b.lic", torch.zeros(3, 5, 5), model="tiny")
    assert caught.value.filename == str(tmp_path / "gone" / "b.lic")
    with pytest.raises(ValueError, match="source: found bytes, allowed are a path and an open"):
        tensors.read(data)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="target: found bytes, allowed are a path and an open"):
        tensors.write(b"b.lic", torch.zeros(3, 5, 5))  # type: ignore[arg-type]


def test_streams_that_cannot_seek():
    """Pipes, and what a request brings."""
    data = lic()

    class Pipe(io.BytesIO):
        def seek(self, *_: Any) -> int:
            raise io.UnsupportedOperation("seek")

    class Bare:
        def __init__(self) -> None:
            self.read = io.BytesIO(data).read

    want = tensors.read(io.BytesIO(data))
    out, into = os.pipe()
    with os.fdopen(into, "wb") as sink:
        sink.write(data)
    with os.fdopen(out, "rb") as pipe:  # whose `tell` fails, too
        assert torch.equal(tensors.read(pipe), want)
    assert torch.equal(tensors.read(Pipe(data)), want)
    assert torch.equal(tensors.read(Bare()), want)  # type: ignore[arg-type]
