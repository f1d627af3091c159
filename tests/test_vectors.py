"""Every vector of `spec/vectors/`, through the codec and through Pillow."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, UnidentifiedImageError
from specification import BAD, EVERY, GOOD, VECTORS, by_file
from vector_read import latents_sha256, read

from pillow_lic import _codec, errors, tensors

IDENTITY = "model", "fingerprint", "width", "height", "mode", "level", "tile", "depth"
NOBODYS = "signature.lic", "empty.lic"  # their first bytes are no plugin's


def check_good(vector: dict[str, Any], data: bytes) -> None:
    """Raise unless the file is read as the vector says."""
    header, frames = read(data)
    numbers = header.level, header.tile, header.depth
    found = (header.model_name, header.fingerprint.hex(), *header[:3], *numbers)
    assert found == tuple(vector[key] for key in IDENTITY)
    times = (vector["loop"], tuple(vector["durations"])) if "loop" in vector else None
    assert all(frame.timing == times for frame in frames)
    assert len(frames) == len(vector.get("durations", [0]))
    hashes = {tag: hashlib.sha256(body).hexdigest() for tag, body in frames[0].metadata.items()}
    assert hashes == vector.get("metadata", {})
    assert latents_sha256(header, frames) == vector["latents_sha256"]


def check_pixels(vector: dict[str, Any], data: bytes) -> None:
    """Raise unless what is stored beside the vector is decoded, by Pillow if it has such modes."""
    with Image.open(VECTORS / vector["pixels"]) as stored:
        expected = np.asarray(stored).astype(int)
    if vector["depth"] == 16:
        planes = tensors.read(io.BytesIO(data), device="cpu").numpy().astype(int)
        expected = expected.reshape(planes.shape)
        found, alpha, opacity = planes, planes[-1], expected[-1]
    else:
        with Image.open(io.BytesIO(data)) as image:
            assert (image.mode, image.size) == (stored.mode, stored.size)
            found = np.asarray(image).astype(int)
        alpha, opacity = found[..., -1], expected[..., -1]
    if vector["mode"].endswith("A"):
        assert np.array_equal(alpha, opacity)
    assert np.abs(found - expected).max() <= vector["max_error"]


def check_bad(vector: dict[str, Any], data: bytes) -> None:
    """Raise unless the file is rejected with the vector's error, by the right class of reader."""
    if vector["class"] == "entropy":
        header, frames = read(data)  # which a container reader accepts
        with pytest.raises(errors.LicError) as caught:
            _codec.decode(header, frames[0], "cpu")
    else:
        with pytest.raises(errors.LicError) as caught:
            read(data)
    assert type(caught.value).__name__ == vector["expect"]


@by_file(GOOD)
def test_good(vector: dict[str, Any]):
    """Weights with another fingerprint fail here: a vector that cannot be decoded is a failure."""
    data = (VECTORS / vector["file"]).read_bytes()
    assert hashlib.sha256(data).hexdigest() == vector["sha256"]
    check_good(vector, data)
    check_pixels(vector, data)


@by_file(BAD)
def test_bad(vector: dict[str, Any], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)  # the limits of the format come first
    data = (VECTORS / vector["file"]).read_bytes()
    assert hashlib.sha256(data).hexdigest() == vector["sha256"]
    check_bad(vector, data)

    def look() -> None:
        Image.open(io.BytesIO(data)).load()
        Image.open(io.BytesIO(data)).verify()  # of a sequence, `load` looks at one frame

    nobodys = vector["file"] in NOBODYS
    with pytest.raises(UnidentifiedImageError if nobodys else errors.LicError) as caught:
        look()
    assert nobodys or type(caught.value).__name__ == vector["expect"]


def test_every_file_is_listed():
    listed = {v["file"] for v in EVERY} | {v["pixels"] for v in EVERY if "pixels" in v}
    assert {path.name for path in VECTORS.iterdir()} == listed | {"vectors.toml"}


def test_both_kinds_are_there():
    assert len(GOOD) >= 20
    assert {v["expect"] for v in EVERY if v["expect"] != "ok"} == {
        "FormatError",
        "TruncatedError",
        "ChecksumError",
        "PayloadError",
        "UnknownModelError",
        "WeightsNotFoundError",
    }


# -- the checks themselves, against vectors that lie -----------------------------------------------


@pytest.mark.parametrize("key", [*IDENTITY, "loop", "durations", "latents_sha256"])
def test_a_wrong_expectation_fails(key: str):
    vector = next(v for v in EVERY if key in v)
    data = (VECTORS / vector["file"]).read_bytes()
    check_good(vector, data)
    with pytest.raises(AssertionError):
        check_good({**vector, key: "wrong"}, data)


def test_a_sequence_of_a_vector_without_times_fails():
    vector = next(v for v in EVERY if "loop" in v)
    still = {key: value for key, value in vector.items() if key not in ("loop", "durations")}
    with pytest.raises(AssertionError):
        check_good(still, (VECTORS / vector["file"]).read_bytes())


def test_wrong_metadata_fails():
    vector = dict(GOOD[0])
    data = (VECTORS / vector["file"]).read_bytes()
    with pytest.raises(AssertionError):
        check_good({**vector, "metadata": {}}, data)


def test_wrong_pixels_fail():
    vector = dict(GOOD[0])
    data = (VECTORS / vector["file"]).read_bytes()
    with pytest.raises(AssertionError):
        check_pixels({**vector, "max_error": -1}, data)


def test_weights_that_are_missing_fail(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr("lic_models.weights.folders", lambda: [tmp_path])
    vector = GOOD[0]
    with pytest.raises(errors.WeightsNotFoundError):
        check_good(vector, (VECTORS / vector["file"]).read_bytes())


def test_a_wrong_error_fails():
    vector = dict(BAD[0])
    data = (VECTORS / vector["file"]).read_bytes()
    with pytest.raises(AssertionError):
        check_bad({**vector, "expect": "ChecksumError"}, data)


def test_accepting_a_bad_file_fails():
    good = GOOD[0]
    data = (VECTORS / good["file"]).read_bytes()
    for reader in ("container", "entropy"):
        with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
            check_bad({**BAD[0], "class": reader}, data)


@pytest.mark.parametrize(("reader", "other"), [("container", "entropy"), ("entropy", "container")])
def test_a_wrong_class_fails(reader: str, other: str):
    vector = next(v for v in EVERY if v.get("class") == reader)
    data = (VECTORS / vector["file"]).read_bytes()
    with pytest.raises((errors.LicError, pytest.fail.Exception)):
        check_bad({**vector, "class": other}, data)
