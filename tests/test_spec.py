"""The specification against the code: every number, every table, every listed byte."""

from __future__ import annotations

import hashlib
import json
import math
import re
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
import vector_dump
from hypothesis import example, given
from hypothesis import strategies as st
from specification import EVERY, NUMBERS, SPEC, VECTORS

import lic_models
from lic_models import (
    coded,
    entropy,
    integer,
    integer_blocks,
    levels,
    mixtures,
    rangecoder,
    registry,
    tables,
    transforms,
    weights,
)
from lic_models.errors import WeightsError
from pillow_lic import _codec, _timing, alpha, container, header


def test_container():
    assert NUMBERS["container"] == {
        "signature": header.SIGNATURE.hex(),
        "version": header.VERSION,
        "flags": header.SEQUENCE,
        "modes": list(header.MODES),
        "bit_depths": list(header.DEPTHS),
        "side_max": header.SIDE_MAX,
        "tile_unit": header.TILE_UNIT,
        "tile_max": header.TILE_MAX // header.TILE_UNIT,
        "tile_pixels_max": header.TILE_PIXELS_MAX,
        "varint_bytes_max": len(header.pack_varint((1 << 35) - 1)),
        "header_bytes": [
            len(header.Header(side, side, "RGB", 0, bytes(8), 100, 64).pack())
            for side in (1, header.SIDE_MAX)
        ],
    }


@given(
    st.integers(1, 1 << 16) | st.integers(1, header.SIDE_MAX),
    st.integers(1, 1 << 16) | st.integers(1, header.SIDE_MAX),
    st.integers(-1, header.TILE_MAX // 64 + 1).map(lambda n: 64 * n) | st.integers(0, 1 << 15),
)
@example(1 << 18, 1, 0)
@example((1 << 18) + 1, 1, 0)
@example(1 << 18, 1, header.TILE_MAX)
@example(4095, 4097, 0)
def test_raw_streams_bound_tiles_as_files_do(width: int, height: int, tile: int):
    whole = header.Header(width, height, "RGB", 0, bytes(8), 100, tile)
    if whole.problem() is None:
        coded.check(100, tile, width, height)
    else:
        with pytest.raises(ValueError, match="tile"):
            coded.check(100, tile, width, height)


def test_parts():
    found = header.Header(300, 200, "LA", 0, bytes(8), 100, 0)
    cut = found._replace(tile=64)
    base = NUMBERS["parts"]
    for depth, each in zip(header.DEPTHS, base["alpha_bytes_per_pixel"], strict=True):
        size = base["alpha_bytes_base"] + each * 300 * 200
        assert container._limit(found._replace(depth=depth), "A", 0) == size
    assert container._limit(found, "F", 0) == base["times_bytes_max"]
    for whole, index, pixels in ((found, 0, 60000), (cut, 0, 4096), (cut, 19, 44 * 8)):
        limit = base["tile_bytes_base"] + base["tile_bytes_per_pixel"] * pixels
        assert container._limit(whole, "T", index) == limit
    for tag in (*container.ANCILLARY, "q"):
        assert container._limit(found, tag, 0) == base["metadata_bytes_max"]
    assert base["ancillary_max"] == container.ANCILLARY_MAX
    assert base["ancillary"] == list(container.ANCILLARY)
    assert base["critical"] == list(container.CRITICAL)
    assert base["frames_max"] == _timing.FRAMES_MAX
    assert base["time_max"] == _timing.TIME_MAX


def test_alpha():
    assert {name: getattr(alpha, name.upper()) for name in NUMBERS["alpha"]} == NUMBERS["alpha"]


def test_levels():
    assert NUMBERS["levels"] == {
        "min": levels.LEVEL_MIN,
        "max": levels.LEVEL_MAX,
        "anchors": levels.ANCHORS,
        "spacing": levels.SPACING,
    }
    assert header.LEVELS == (levels.LEVEL_MIN, levels.LEVEL_MAX)


def test_integer():
    shipped = NUMBERS["integer"]
    assert shipped["activation_max"] == integer.FULL
    assert shipped["mean_max"] == integer_blocks.MEAN_LIMIT
    assert shipped["frac"] == integer.FRAC
    layer = integer.IntConv2d(1, 1)
    weight, bias = torch.zeros(1, 1, 1, 1), torch.zeros(levels.ANCHORS, 1)
    layer.freeze(weight, bias, torch.tensor([shipped["shift_max"]]))
    with pytest.raises(WeightsError, match="shift"):
        layer.freeze(weight, bias, torch.tensor([shipped["shift_max"] + 1]))


def test_tables():
    data = (SPEC / "tables.txt").read_bytes()
    gaussian = (SPEC / "gaussian.txt").read_bytes()
    installed = Path(tables.__file__).with_name("data")
    assert data == (installed / "tables.txt").read_bytes()
    assert gaussian == (installed / "gaussian.txt").read_bytes()
    assert NUMBERS["tables"] == {
        "indices": tables.INDICES,
        "total_bits": tables.TOTAL.bit_length() - 1,
        "escape_weight": int(tables.tables()[1].weights[-1]),  # type: ignore[union-attr]
        "sha256": hashlib.sha256(data).hexdigest(),
        "gaussian_sha256": hashlib.sha256(gaussian).hexdigest(),
        "mixture_components": integer_blocks.COMPONENTS,
        "mixture_weights": mixtures.WEIGHTS,
        "mixture_half": [mixtures.HALF_MIN, mixtures.HALF_MAX],
    }
    assert len(data.splitlines()) == tables.INDICES - 1


def test_what_training_reckons_with_is_listed():
    """How far letters go, in scales, as the listings were made."""
    ratio = (tables.SCALE_MAX / tables.SCALE_MIN) ** (1 / (tables.INDICES - 1))
    scales = [tables.SCALE_MIN * ratio**index for index in range(tables.INDICES)]
    halves = [table.half for table in tables.tables() if table]
    assert halves == [math.ceil(tables.TAIL * scale) + 1 for scale in scales[1:]]
    reach = mixtures._numbers().reach.tolist()
    assert reach == [math.ceil(entropy.MIXTURE_TAIL * scale) for scale in scales]


def test_coder():
    coder = NUMBERS["coder"]
    assert coder["escape_prefix_max"] == rangecoder.ESCAPE_BITS
    text = (SPEC / "entropy.md").read_text()
    assert f"w MUST NOT be greater than {rangecoder.ESCAPE_BITS}." in text
    encoder = rangecoder.SymbolEncoder().coder
    low, span = encoder.pos()[1]
    assert (low, span) == (0, 2 ** coder["state_bits"] - 1)
    encoder.encode(np.zeros(1, np.int32), rangecoder.bit())
    precision = coder["precision_bits"]
    assert encoder.pos()[1] == (0, (span >> precision) << (precision - 1))
    assert encoder.get_compressed().itemsize * 8 == coder["word_bits"]
    for difference, fits in ((coder["end_difference"] - 1, True), (coder["end_difference"], False)):
        words = struct.pack("<II", difference >> 32, difference & 0xFFFFFFFF)
        decoder = rangecoder.SymbolDecoder(words)
        assert not decoder._bit()  # which leaves the difference as it was
        assert decoder.exhausted() is fits
    assert not rangecoder.SymbolDecoder(bytes(12)).exhausted()  # three words for no letter


def test_check_values_of_the_range_coder():
    """Rows such as `| 1: 5; b: 1 1 0 | `00 50 FF FF` |` in section 6.6."""
    text = (SPEC / "entropy.md").read_text().partition("### 6.6")[2]
    rows = re.findall(r"^\| ([b\d][^(|]*?) *(?:\(.*\) )?\| `([0-9A-F ]+)` \|$", text, re.MULTILINE)
    assert len(rows) >= 6
    for runs, payload in rows:
        coder = rangecoder.SymbolEncoder()
        for run in runs.split(";"):
            index, _, letters = run.strip().partition(":")
            model = rangecoder.bit() if index == "b" else rangecoder.categorical(int(index))
            coder.coder.encode(np.array(letters.split(), np.int32), model)
        assert coder.finish().hex(" ").upper() == payload, runs
    coder = rangecoder.SymbolEncoder()
    coder.encode(np.array([0, -8, 1, -3], np.int32), np.array([9, 1, 1, 1]))
    assert coder.finish().hex(" ").upper() == rows[2][1]


def test_pixels_and_weights():
    found = header.Header(64, 64, "LA", 0, weights.find("tiny").fingerprint, 7500)
    greys, opaque = NUMBERS["pixels"]["lost"], NUMBERS["pixels"]["lost_alpha"]
    assert dict(zip(header.DEPTHS, greys, strict=True)) == transforms.GREY
    for depth, *values in zip(header.DEPTHS, greys, opaque, strict=True):
        parts = container.Parts({}, None, [None])
        lost = _codec.decode(found._replace(depth=depth), parts, "cpu")
        assert (lost == values).all()
    tolerances = {NUMBERS["pixels"]["tolerance"], NUMBERS["pixels"]["tolerance_16"]}
    assert {v["max_error"] for v in EVERY if "max_error" in v} == tolerances
    assert NUMBERS["weights"]["fingerprint_bytes"] == weights.FINGERPRINT
    assert tuple(NUMBERS["weights"]["float32_suffixes"]) == weights.PRECISE


def test_model_ids():
    assert list(NUMBERS["model_ids"]) == list(header.MODELS)
    assert list(NUMBERS["model_ids"].values()) == list(range(len(header.MODELS)))
    for name in lic_models.names():
        assert NUMBERS["model_ids"][name] == lic_models.model_id(name)
    assert sorted(NUMBERS["models"]) == sorted(lic_models.installed())


@pytest.mark.parametrize("name", lic_models.installed())
def test_model(name: str):
    cls = registry.lookup(name)
    model = cls(cls.configure())
    shipped = NUMBERS["models"][name]
    assert shipped["id"] == cls.model_id
    assert (shipped["stride"], shipped["pixels"], shipped["halo"]) == (
        cls.stride,
        cls.pixels,
        cls.halo,
    )
    assert shipped["latents"] == list(model.shapes(64, 64))
    assert shipped["config"] == json.loads(json.dumps(model.config_dict()))
    assert shipped["layers"] == {
        name: [
            layer.kernel,
            layer.weight.shape[1],
            layer.weight.shape[0],
            layer.lo,
            layer.hi,
            layer.frac_out,
        ]
        for name, layer in model.integer_layers().items()
    }


def test_tables_of_the_text_on_models():
    text = (SPEC / "models.md").read_text()
    for name, number in NUMBERS["model_ids"].items():
        assert f"\n| {number} | `{name}` |" in text
    shipped = {name: model["config"] for name, model in NUMBERS["models"].items()}
    lines = text.splitlines()
    head = next(line for line in lines if line.startswith("| key | `tiny`"))
    names = [cell.strip(" `") for cell in head.strip("|").split("|")][1:]
    assert sorted(names) == sorted(shipped)
    for key in {key for config in shipped.values() for key in config}:
        cells = [str(shipped[name].get(key, "")).strip("[]") for name in names]
        assert f"| {key} | {' | '.join(cells)} |" in lines


@pytest.mark.parametrize(
    "path", sorted(weights.folders()[-1].glob("*.safetensors")), ids=lambda p: p.stem
)
def test_fingerprint_as_the_text_says(path: Path):
    """Section 3.2 of models.md, from the bytes of the file and nothing of the package."""
    data = path.read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    listing, body = json.loads(data[8 : 8 + size]), data[8 + size :]
    strings = listing.pop("__metadata__")
    types = {"I16": "int16", "I32": "int32", "U8": "uint8", "F32": "float32", "F16": "float16"}
    pieces = [strings["model"].encode(), strings["config"].encode()]
    for key in sorted(listing):
        tensor = listing[key]
        begin, end = tensor["data_offsets"]
        shape = ",".join(map(str, tensor["shape"]))
        pieces += [key.encode(), types[tensor["dtype"]].encode(), shape.encode(), body[begin:end]]
    digest = hashlib.sha256(b"".join(struct.pack("<Q", len(p)) + p for p in pieces))
    assert path.stem.endswith("-" + digest.hexdigest()[:16])


def test_example():
    data = (VECTORS / "example.lic").read_bytes()
    text = (SPEC / "example.md").read_text()
    listed = re.findall(r"^([0-9A-F]{4})  ((?:[0-9A-F]{2} ?)+)", text, re.MULTILINE)
    joined = b""
    for offset, row in listed:
        assert int(offset, 16) == len(joined)
        joined += bytes.fromhex(row)
    assert joined == data
    assert text == vector_dump.text(data)


def test_every_key_of_the_vectors_is_explained():
    rows = re.findall(r"^\| (`.+?`) \| ", (SPEC / "README.md").read_text(), re.MULTILINE)
    explained = {key for row in rows for key in re.findall(r"`(\w+)`", row)}
    assert {key for vector in EVERY for key in vector} <= explained


def test_every_file_is_in_the_list_of_the_specification():
    text = (SPEC / "README.md").read_text()
    for path in SPEC.iterdir():
        if path.name not in ("README.md", "__pycache__"):
            assert f"`{path.name}" in text, path.name
