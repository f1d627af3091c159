"""The decoder written from the specification alone agrees with the vectors and the text."""

from __future__ import annotations

import hashlib
import itertools
import json
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import save_file
from samples import part, photo, split
from specification import BAD, GOOD, NUMBERS, ROOT, SPEC, VECTORS, WEIGHTS, by_file, second
from vector_read import latents_sha256, read

import lic_models
from lic_models import coding, registry
from lic_models import weights as package_weights
from lic_models.train.linear import linear_start
from pillow_lic.errors import LicError
from pillow_lic.header import pack_varint

reference = second()
alpha = second("alpha")
container = second("container")
errors = second("errors")
layers = second("layers")
mixtures = second("mixtures")
rangecoder = second("rangecoder")
steps = second("steps")
synthesis = second("synthesis")
weights = second("weights")

TABLES = rangecoder.read_tables(SPEC / "tables.txt")
ESCAPES = {"b110101": [1, 1, 0, 1, 0, 1], "b01": [0, 1]}  # bits of entropy.md, section 6.6


@by_file(GOOD)
def test_good_vector_gives_the_latents(vector):
    decoded = reference.decode(VECTORS / vector["file"], WEIGHTS, strict=True)
    header = decoded.container.header
    assert decoded.latents_sha256 == vector["latents_sha256"]
    for key in ("width", "height", "mode", "depth", "level", "tile"):
        assert getattr(header, key) == vector[key]
    assert header.sequence == ("loop" in vector)
    assert decoded.container.loop == vector.get("loop", 0)
    assert decoded.container.durations == vector.get("durations", [])
    assert (decoded.model.name, header.fingerprint.hex()) == (
        vector["model"],
        vector["fingerprint"],
    )
    found = decoded.container.metadata.items()
    assert {tag: hashlib.sha256(data).hexdigest() for tag, data in found} == vector.get(
        "metadata", {}
    )


@by_file(GOOD)
def test_good_vector_gives_the_pixels(vector):
    found = synthesis.pixels(reference.decode(VECTORS / vector["file"], WEIGHTS)).astype(int)
    with Image.open(VECTORS / vector["pixels"]) as image:
        assert image.mode == ("I;16" if vector["depth"] == 16 else vector["mode"])
        want = np.asarray(image).astype(int)
    if vector["depth"] == 16:  # the channels one below another
        want = want.reshape(-1, *found.shape[:2]).transpose(1, 2, 0)
    want = want.reshape(found.shape)
    assert abs(found - want).max() <= vector["max_error"]
    if vector["mode"].endswith("A"):
        assert (found[..., -1] == want[..., -1]).all()


@by_file(BAD)
def test_bad_vector_is_rejected_with_the_named_error(vector):
    path = VECTORS / vector["file"]
    error = getattr(errors, vector["expect"])
    with pytest.raises(errors.LicError) as caught:
        reference.decode(path, WEIGHTS)
    assert caught.type is error
    if vector["class"] == "container":
        with pytest.raises(error):
            reference.parse(path.read_bytes())
    else:
        reference.parse(path.read_bytes())


@pytest.mark.parametrize("form", [["spec/reference"], ["-m", "reference"]])
def test_command_prints_the_hash_and_imports_none_of_the_packages(form):
    vector = GOOD[0]
    code = f"""
import runpy, sys
sys.argv = ["reference", {str(VECTORS / vector["file"])!r}]
sys.path.insert(0, {str(SPEC)!r})
try:
    runpy.{"run_module" if form[0] == "-m" else "run_path"}({form[-1]!r}, run_name="__main__")
except SystemExit as end:
    assert not end.code
import reference.synthesis
names = "torch constriction PIL pillow_lic lic_models safetensors imageio".split()
print(*sorted(set(names) & set(sys.modules)))
"""
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert result.stdout.split() == [vector["latents_sha256"], str(VECTORS / vector["file"])]


def test_command_reports_a_bad_file_and_goes_on():
    files = [VECTORS / BAD[0]["file"], VECTORS / GOOD[0]["file"]]
    result = subprocess.run(
        [sys.executable, "spec/reference", *files], capture_output=True, text=True, cwd=ROOT
    )
    assert result.returncode == 1
    assert BAD[0]["expect"] in result.stderr
    assert GOOD[0]["latents_sha256"] in result.stdout


@pytest.mark.parametrize(
    ("runs", "payload"),
    [
        ("", ""),
        ("1:2", "00E25400"),
        ("1:5 b110101", "0050FFFF"),
        ("1:5,3,5 b110101 b01 9:4", "EFFFFFFF1F811CF8"),
        ("12:0,1,2,3,4,5,6,7,8", "00000000FFFF0000C03D20026C07F04B"),
        ("63:902,901,5,2,903,1", "E7B9FC7F82CC586454A1DA1C3E3B3F47"),
        ("12:8,5,8,5", "8BD0FBFF00000000"),
    ],
)
def test_check_values_of_the_range_coder(runs, payload):
    payload = bytes.fromhex(payload)
    reader = rangecoder.Reader(payload)
    reader.log = []
    for run in runs.split():
        if run in ESCAPES:
            assert [reader.bit() for _ in ESCAPES[run]] == ESCAPES[run]
        else:
            index, letters = run.split(":")
            want = [int(letter) for letter in letters.split(",")]
            assert reader.letters([TABLES[int(index)].cumulative] * len(want)) == want
    reader.finish()
    assert rangecoder.write(reader.log) == payload


def test_symbols_of_the_worked_example():
    reader = rangecoder.Reader(bytes.fromhex("EFFFFFFF1F811CF8"))
    assert reader.symbols(TABLES[1].half, [TABLES[1]] * 3) == [-8, 1, -3]
    assert reader.symbols(TABLES[9].half, [TABLES[9]]) == [0]


def test_bias_between_anchor_levels_is_the_worked_example():
    rows = np.zeros((10, 1), np.int32)
    rows[6], rows[7] = -7, -100
    assert layers.level_row(rows, 7550).tolist() == [-79]
    assert layers.level_row(rows, 100 + 1100 * 7).tolist() == [-100]
    rows[9] = 5
    assert layers.level_row(rows, 10000).tolist() == [5]


@pytest.mark.parametrize(
    ("shift", "acc", "out"), [(1, 1, 1), (1, -1, 0), (1, -3, -1), (0, 7, 7), (2, 6, 2)]
)
def test_shift_rounds_half_up(shift, acc, out):
    layer = layers.Layer(None, None, np.array([shift], np.uint8), -9, 9)
    assert layer.rescale(np.array([[acc]])).tolist() == [[out]]


def test_float_products_are_exact_for_the_largest_weights():
    generator = np.random.default_rng(5)
    inputs, outputs, size = 192, 3, 5
    weight = generator.choice(np.array([-32768, 32767, 32766], np.int16), (outputs, inputs, 5, 5))
    bias = generator.integers(-(2**31), 2**31, (10, outputs)).astype(np.int32)
    layer = layers.Layer(weight, bias, np.zeros(outputs, np.uint8), -(2**60), 2**60)
    values = generator.choice([-1023, 1022, 1023], (inputs, size, size))
    padded = np.pad(values, ((0, 0), (2, 2), (2, 2)))
    for level in (100, 7551, 10000):
        found = layer(values, level)
        for i, j in np.ndindex(size, size):
            window = padded[None, :, i : i + 5, j : j + 5]
            want = (weight.astype(np.int64) * window).sum((1, 2, 3))
            assert (found[:, i, j] == want + layers.level_row(bias, level)).all()


@pytest.mark.parametrize("name", sorted(NUMBERS["models"]))
def test_layer_list_is_that_of_the_constants(name):
    model = NUMBERS["models"][name]
    listed = {
        layer: (kernel, inputs, outputs, (low, high))
        for layer, (kernel, inputs, outputs, low, high, *_) in model["layers"].items()
    }
    assert steps.MODELS[name][1](model["config"]) == listed


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """A function that puts toy weights of a model, all of them at random, into a folder."""

    def export(name: str) -> Path:
        cls = registry.lookup(name)
        torch.manual_seed(3)
        model = cls(cls.configs["toy"])
        linear_start(model, torch.stack([photo(128, 128, seed) for seed in range(8)]))
        with torch.no_grad():
            for parameter in model.parameters():  # no weight may hide behind a zero
                parameter += 0.03 * torch.randn_like(parameter)
        package_weights.export(model, tmp_path, generation=1000, notes={})
        monkeypatch.setenv("LIC_WEIGHTS_PATH", str(tmp_path))
        return tmp_path

    return export


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("name", lic_models.names())
def test_every_model_decodes_alike(name: str, whole: bool, toy, tmp_path: Path, monkeypatch):
    """Latents and pixels of two decoders, for every model that is registered."""
    folder = toy(name)
    monkeypatch.setattr(coding, "encode", partial(coding.encode_as, whole=whole))
    file = tmp_path / "a.lic"
    values = np.random.default_rng(4).integers(0, 256, (20, 26, 3))
    smooth = np.kron(values, np.ones((7, 6, 1)))[:130, :150].astype(np.uint8)
    Image.fromarray(smooth).save(file, model=name, quality=60, tile=64)
    decoded = reference.decode(file, folder, strict=True)
    header, parts = read(file.read_bytes())
    assert decoded.latents_sha256 == latents_sha256(header, parts)
    assert {len(tile) % 4 for tile in parts[0].tiles} == ({1} if whole else {0})
    assert max(abs(tile["y"]).max() for tile in decoded.latents[0]) > 16  # something is coded
    with Image.open(file) as image:
        want = np.asarray(image).astype(int)
    assert want.std() > 5
    assert abs(synthesis.pixels(decoded).astype(int) - want).max() <= 1


FOUND = {  # of the reference, by table and key of `constants.toml`
    "container.signature": container.SIGNATURE.hex(),
    "container.modes": list(container.MODES),
    "container.side_max": container.SIDE_MAX,
    "container.tile_unit": container.TILE_UNIT,
    "container.tile_pixels_max": container.TILE_PIXELS_MAX,
    "parts.ancillary_max": container.ANCILLARY_MAX,
    "parts.metadata_bytes_max": container.METADATA_MAX,
    "parts.frames_max": container.FRAMES_MAX,
    "parts.time_max": container.TIME_MAX,
    "parts.alpha_bytes_base": container.LENGTH_BASE,
    "parts.tile_bytes_base": container.LENGTH_BASE,
    "alpha.constant": alpha.CONSTANT,
    "levels.anchors": weights.LEVELS,
    "integer.activation_max": layers.ACTIVATION_MAX,
    "integer.shift_max": weights.SHIFT_MAX,
    "tables.total_bits": rangecoder.TOTAL_BITS,
    "tables.sha256": rangecoder.TABLES_SHA256,
    "tables.gaussian_sha256": mixtures.GAUSSIAN_SHA256,
    "tables.mixture_components": mixtures.COMPONENTS,
    "tables.mixture_weights": mixtures.WEIGHTS,
    "tables.mixture_half": [mixtures.HALVES[0], mixtures.HALVES[-1]],
    "coder.word_bits": rangecoder.WORD.bit_length(),
    "coder.state_bits": rangecoder.STATE.bit_length(),
    "coder.precision_bits": rangecoder.TOTAL_BITS,
    "coder.escape_prefix_max": rangecoder.ESCAPE_PREFIX_MAX,
    "coder.end_difference": rangecoder.END_DIFFERENCE,
}


@pytest.mark.parametrize("name", FOUND)
def test_numbers_are_those_of_the_constants(name: str):
    table, key = name.split(".")
    assert NUMBERS[table][key] == FOUND[name]


def test_ranges_are_those_of_the_constants():
    full, mean = (NUMBERS["integer"][f"{name}_max"] for name in ("activation", "mean"))
    want = (0, full), (-full, full), (-mean, mean), (0, NUMBERS["tables"]["indices"] - 1)
    assert want == (steps.RELU, steps.SIGNED, steps.MEAN, steps.INDEX)
    assert all(2 * a == b for a, b in itertools.pairwise(mixtures.HALVES))
    for model in NUMBERS["models"].values():
        assert (model["stride"], model["pixels"]) == (steps.STRIDE, steps.SAMPLE)
    levels = NUMBERS["levels"]
    anchors = range(levels["min"], levels["max"] + 1, levels["spacing"])
    rows = np.arange(levels["anchors"], dtype=np.int32)[:, None] ** 3
    assert [layers.level_row(rows, level) for level in anchors] == rows.tolist()


@pytest.mark.parametrize("more", [0, 1])
def test_most_frames(more: int):
    """The file of a vector would be a megabyte."""
    [vector] = [vector for vector in GOOD if vector["file"] == "times_most.lic"]
    start, _ = split((VECTORS / vector["file"]).read_bytes())
    count = NUMBERS["parts"]["frames_max"] + more
    times = part("F", pack_varint(0) + pack_varint(count) + bytes(count))
    want = "FormatError" if more else "TruncatedError"  # no frame follows
    for parse in (reference.parse, read):
        with pytest.raises((errors.LicError, LicError)) as caught:
            parse(start + times)
        assert type(caught.value).__name__ == want


def test_the_end_of_a_payload_is_checked_as_the_text_says():
    """Section 6.5: the difference matters if a letter was read, the number of words always."""
    end = NUMBERS["coder"]["end_difference"]
    for difference, fits in ((end - 1, True), (end, False)):
        words = b"".join((difference >> at & 0xFFFFFFFF).to_bytes(4, "little") for at in (32, 0))
        reader = rangecoder.Reader(words)
        reader.finish()  # no letter was read
        assert reader.bit() == 0  # which leaves the difference as it was
        if fits:
            reader.finish()
        else:
            with pytest.raises(errors.PayloadError, match="does not end"):
                reader.finish()
    rangecoder.Reader(b"\xff" * 8).finish()
    with pytest.raises(errors.PayloadError, match="1 words too many"):
        rangecoder.Reader(bytes(12)).finish()


def test_model_ids_are_those_of_the_constants():
    assert {NUMBERS["model_ids"][name]: name for name in weights.NAMES.values()} == weights.NAMES
    assert set(weights.NAMES.values()) == set(NUMBERS["model_ids"])


@pytest.mark.parametrize("fault", ["byte", "cut"])
def test_damaged_weights_are_refused_by_model_and_fingerprint(tmp_path, fault):
    vector = GOOD[0]
    name, wanted = vector["model"], vector["fingerprint"]
    [path] = WEIGHTS.glob(f"{name}-*-{wanted}.safetensors")
    data = bytearray(path.read_bytes())
    if fault == "byte":
        data[-1] ^= 1
    else:
        del data[-1]
    (tmp_path / path.name).write_bytes(data)
    with pytest.raises(errors.WeightsNotFoundError, match=f"{name}.*{wanted}"):
        reference.decode(VECTORS / vector["file"], tmp_path)


@pytest.mark.parametrize("fault", ["shift", "more", "float"])
def test_weights_that_break_the_rules_are_refused(tmp_path, fault):
    """Whole files with their right fingerprint."""
    name, wanted = GOOD[0]["model"], GOOD[0]["fingerprint"]
    [path] = WEIGHTS.glob(f"{name}-*-{wanted}.safetensors")
    metadata, read_only = weights.read_safetensors(path.read_bytes())
    tensors = {key: tensor.copy() for key, tensor in read_only.items()}
    shift = tensors["prior_z.mean.shift"]
    if fault == "shift":
        shift[0], message = 31, "prior_z.mean.shift: above 30"
    elif fault == "more":
        tensors["more"], message = shift, "more: uint8"
    else:
        key = next(key for key, tensor in tensors.items() if tensor.dtype == np.float16)
        tensors[key], message = tensors[key].astype(np.float32), f"{key}: float32"
    digest = weights.fingerprint(name, metadata["config"], tensors)
    save_file(tensors, tmp_path / f"{name}-9-{digest.hex()}.safetensors", metadata)
    with pytest.raises(errors.WeightsNotFoundError, match=message):
        weights.find(tmp_path, NUMBERS["model_ids"][name], digest)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("tiny", {"more": 1}),
        ("tiny", {"units": None}),
        ("tiny", {"hidden": [12]}),
        ("tiny", {"hidden": 12}),
        ("tiny", {"Z": [4]}),
        ("tiny", {"Z": True}),
        ("tiny", {"Z": 4097}),
        ("tiny", {"groups": [4, 8]}),
        ("tiny", {"spatial": [4, 8]}),
        ("tiny", {"kernels": [3, 3, 4, 3]}),
        ("minnen2020", {"slices": 3}),
        ("minnen2020", {"slices": 0}),
        ("minnen2020", {"support": 0}),
        ("tiny", {"M": 0, "groups": []}),
        ("tiny", {"groups": [0, 16]}),
        ("tiny", {"Z": 0}),
        ("tiny", {"context": 0}),
        ("tiny", {"spatial": [1, 8]}),
        ("tiny", {"spatial": [3, 0]}),
        ("tiny", {"widths": [1, 8, 8]}),
        ("hific", {"beside": [0, 8, 8, 8]}),
        ("hific", {"head": [1, 0]}),
    ],
)
def test_configurations_that_break_the_rules_are_refused(name, change):
    """By both decoders; None takes a key away."""
    cls = registry.lookup(name)
    config = cls(cls.configs["toy" if name != "tiny" else "shipped"]).config_dict()
    changed = {key: value for key, value in {**config, **change}.items() if value is not None}
    weights.configuration(name, json.dumps(config))
    package_weights._config(json.dumps(config), cls)
    with pytest.raises(ValueError, match=r"found|wanted"):
        weights.configuration(name, json.dumps(changed))
    with pytest.raises((ValueError, ArithmeticError)):
        cls(package_weights._config(json.dumps(changed), cls))


@pytest.mark.parametrize("fault", ["missing", "shape"])
def test_transforms_of_other_shapes_are_refused(fault):
    decoded = reference.decode(VECTORS / GOOD[0]["file"], WEIGHTS)
    tensors = dict(decoded.model.tensors)
    bias = tensors.pop("g_s.convs.3.bias")
    if fault == "shape":
        tensors["g_s.convs.3.bias"] = bias[:1]
    broken = replace(decoded, model=replace(decoded.model, tensors=tensors))
    with pytest.raises(errors.WeightsNotFoundError, match=rf"g_s\.convs\.3\.bias: {fault}"):
        synthesis.pixels(broken)
