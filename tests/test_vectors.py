"""Every vector of `spec/vectors/`, through the codec and through Pillow."""

from __future__ import annotations

import hashlib
import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, UnidentifiedImageError
from vector_read import latents_sha256, read

from pillow_lic import _codec, errors

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FOLDER = Path(__file__).parent.parent / "spec" / "vectors"
VECTORS: list[dict[str, Any]] = tomllib.loads((FOLDER / "vectors.toml").read_text())["vector"]
GOOD = [pytest.param(v, id=v["file"]) for v in VECTORS if v["expect"] == "ok"]
BAD = [pytest.param(v, id=v["file"]) for v in VECTORS if v["expect"] != "ok"]
IDENTITY = "model", "fingerprint", "width", "height", "mode", "level", "tile"


def check_good(vector: dict[str, Any], data: bytes) -> None:
    """Raise unless the file is read as the vector says."""
    header, frames = read(data)
    found = (header.model_name, header.fingerprint.hex(), *header[:3], header.level, header.tile)
    assert found == tuple(vector[key] for key in IDENTITY)
    hashes = {tag: hashlib.sha256(body).hexdigest() for tag, body in frames[0].metadata.items()}
    assert hashes == vector.get("metadata", {})
    assert latents_sha256(header, frames) == vector["latents_sha256"]


def check_pixels(vector: dict[str, Any], data: bytes) -> None:
    """Raise unless Pillow decodes what is stored beside the vector."""
    with Image.open(io.BytesIO(data)) as image, Image.open(FOLDER / vector["pixels"]) as stored:
        assert (image.mode, image.size) == (stored.mode, stored.size)
        found, expected = np.asarray(image, int), np.asarray(stored, int)
    if vector["mode"].endswith("A"):
        assert np.array_equal(found[..., -1], expected[..., -1])
    assert np.abs(found - expected).max() <= vector["max_error"]


def check_bad(vector: dict[str, Any], data: bytes) -> None:
    """Raise unless the file is rejected with the vector's error, by the right class of reader."""

    def decode() -> None:
        header, frames = read(data)
        assert vector["class"] == "entropy", "a container reader accepts it"
        _codec.decode(header, frames[0], "cpu")

    with pytest.raises(errors.LicError) as caught:
        decode()
    assert type(caught.value).__name__ == vector["expect"]


@pytest.mark.parametrize("vector", GOOD)
def test_good(vector: dict[str, Any]):
    """Weights with another fingerprint fail here: a vector that cannot be decoded is a failure."""
    data = (FOLDER / vector["file"]).read_bytes()
    assert hashlib.sha256(data).hexdigest() == vector["sha256"]
    check_good(vector, data)
    check_pixels(vector, data)


@pytest.mark.parametrize("vector", BAD)
def test_bad(vector: dict[str, Any]):
    data = (FOLDER / vector["file"]).read_bytes()
    assert hashlib.sha256(data).hexdigest() == vector["sha256"]
    check_bad(vector, data)

    def look() -> None:
        Image.open(io.BytesIO(data)).load()
        Image.open(io.BytesIO(data)).verify()  # of a sequence, `load` looks at one frame

    with pytest.raises((errors.LicError, UnidentifiedImageError)) as caught:
        look()
    refused = type(caught.value).__name__
    assert refused in (vector["expect"], "UnidentifiedImageError")


def test_every_file_is_listed():
    listed = {v["file"] for v in VECTORS} | {v["pixels"] for v in VECTORS if "pixels" in v}
    assert {path.name for path in FOLDER.iterdir()} == listed | {"vectors.toml"}


def test_both_kinds_are_there():
    assert len(GOOD) >= 20
    assert {v["expect"] for v in VECTORS if v["expect"] != "ok"} == {
        "FormatError",
        "TruncatedError",
        "ChecksumError",
        "PayloadError",
        "UnknownModelError",
        "WeightsNotFoundError",
    }


# -- the checks themselves, against vectors that lie -----------------------------------------------


@pytest.mark.parametrize("key", [*IDENTITY, "latents_sha256"])
def test_a_wrong_expectation_fails(key: str):
    vector = dict(GOOD[0].values[0])
    data = (FOLDER / vector["file"]).read_bytes()
    check_good(vector, data)
    with pytest.raises(AssertionError):
        check_good({**vector, key: "wrong"}, data)


def test_wrong_metadata_fails():
    vector = dict(GOOD[0].values[0])
    data = (FOLDER / vector["file"]).read_bytes()
    with pytest.raises(AssertionError):
        check_good({**vector, "metadata": {}}, data)


def test_wrong_pixels_fail():
    vector = dict(GOOD[0].values[0])
    data = (FOLDER / vector["file"]).read_bytes()
    with pytest.raises(AssertionError):
        check_pixels({**vector, "max_error": -1}, data)


def test_weights_that_are_missing_fail(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr("lic_models.weights.folders", lambda: [tmp_path])
    vector = GOOD[0].values[0]
    with pytest.raises(errors.WeightsNotFoundError):
        check_good(vector, (FOLDER / vector["file"]).read_bytes())


def test_a_wrong_error_fails():
    vector = dict(BAD[0].values[0])
    data = (FOLDER / vector["file"]).read_bytes()
    with pytest.raises(AssertionError):
        check_bad({**vector, "expect": "ChecksumError"}, data)


def test_accepting_a_bad_file_fails():
    good = GOOD[0].values[0]
    with pytest.raises(AssertionError, match="accepts"):
        check_bad({**BAD[0].values[0]}, (FOLDER / good["file"]).read_bytes())
