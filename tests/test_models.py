"""Every registered model, parametrised: a new one is tested without new code."""

from __future__ import annotations

import copy
import json
import os
import struct
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib import resources
from typing import Any, ClassVar, cast

import numpy as np
import pytest
import torch
from commands import run
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from samples import photo

import lic_models
from lic_models import codec as codec_module
from lic_models import coding, layers, registry, weights
from lic_models import cost as costs
from lic_models.base import Model
from lic_models.codec import Codec, Coded
from lic_models.entropy import UNIT, estimate, noisy
from lic_models.errors import StreamError, UnknownModel, WeightsError, WeightsNotFound
from lic_models.levels import lmbda
from lic_models.pixels import as_tensor
from lic_models.train.linear import linear_start
from pillow_lic import tensors

NAMES = lic_models.names()


@pytest.mark.parametrize("quality", [1, 37.5, 100])
def test_roundtrip(codec: Codec, quality: float):
    x = photo(100, 70)
    data = codec.encode(x, quality)
    x_hat = codec.decode(data)
    assert x_hat.shape == (1, 3, 100, 70)
    assert (x_hat[0] - x).square().mean() < 0.03


def test_quality_buys_fidelity(codec: Codec):
    x = photo(128, 128)
    data = [codec.encode(x, q) for q in (5, 50, 95)]
    errors = [(codec.decode(d)[0] - x).square().mean().item() for d in data]
    assert len(data[0]) < len(data[1]) < len(data[2])
    assert errors[0] > errors[1] > errors[2]


def test_effort_pays(codec: Codec):
    gains = []
    for seed in (0, 1):
        x = photo(64, 128, seed)
        plain, better = (codec.encode(x, 50, effort=effort) for effort in (0, 3))
        weight = lmbda(5000) * 255**2 / 3
        costs = [
            8 * len(data) + weight * float((codec.decode(data) - x).square().sum())
            for data in (plain, better)
        ]
        assert better == plain or costs[1] < costs[0]
        gains.append(costs[0] - costs[1])
    assert max(gains) > 0


def test_decoder_sees_what_the_encoder_saw(codec: Codec):
    level = 6000
    y = codec.transforms.analyse(photo(128, 192), level)
    latents = codec.model.latents(y, torch.tensor([float(level)]))
    data, sent = coding.encode(codec.model, latents, level)
    shapes = codec.model.shapes(128, 192)
    received = coding.decode(codec.model, data, shapes, level)
    assert sent.keys() == received.keys() == shapes.keys()
    for name in shapes:
        assert torch.equal(sent[name], received[name])
        assert sent[name].shape[1:] == shapes[name]
    assert coding.encode(codec.model, latents, level)[0] == data


def test_certainty_that_is_wrong_is_paid_for(codec: Codec):
    """Pictures unlike photos: networks that leave out what matters have to code it after all."""
    random = np.random.default_rng(5)
    small = random.integers(0, 256, (12, 16, 3), dtype=np.uint8)
    smooth = np.asarray(Image.fromarray(small).resize((192, 128), Image.Resampling.BICUBIC))
    for pixels in (smooth, random.integers(0, 2, (128, 128, 3), dtype=np.uint8) * 255):
        [latents] = codec.latents(as_tensor(pixels), 10000, 0)
        y = coding.encode(codec.model, latents, 10000)[1]["y"] / UNIT
        assert (y - latents["y"]).square().mean() < 1 / 12  # what rounding does


def test_whole_payloads(codec: Codec):
    """What is coded where nothing has to be changes nothing, and costs next to nothing."""
    level = 3000
    y = codec.transforms.analyse(photo(128, 192), level)
    latents = codec.model.latents(y, torch.tensor([float(level)]))
    (plain, sent), (whole, same) = (
        coding.encode_as(codec.model, latents, level, whole=each) for each in (False, True)
    )
    assert len(whole) % 4 == 1
    assert len(plain) < len(whole) < len(plain) + y.numel() / 200 + 40
    received = coding.decode(codec.model, whole, codec.model.shapes(128, 192), level)
    for name in sent:
        assert torch.equal(received[name], same[name])
    for wrong in (b"\2" + plain, b"\1" + plain + b"\0"):
        with pytest.raises(StreamError, match="payload length: found"):
            coding.decode(codec.model, wrong, codec.model.shapes(128, 192), level)


def test_estimate_matches_the_bytes(codec: Codec):
    payloads = codec.encode_tiles(photo(512, 512), 7000, 256)
    bits = codec.estimate_bits(photo(512, 512), 7000, 256)
    assert bits / 8 == pytest.approx(sum(map(len, payloads)), rel=0.02, abs=32)


def test_tiles_leave_no_seams(codec: Codec, monkeypatch: pytest.MonkeyPatch):
    """The pixels of given latents do not depend on how these were cut, into tiles or blocks."""
    coded = Coded(codec.encode_tiles(photo(256, 320), 9000, 128), 320, 256, 9000, 128)
    assert len(coded.payloads) == 6
    y = [latents["y"] for latents in codec.decode_latents(coded) if latents is not None]
    rows = torch.cat([torch.cat(y[at : at + 3], 3) for at in (0, 3)], 2)
    whole = codec.transforms.pixels(rows / UNIT, [9000], 8)[0].permute(1, 2, 0).numpy()
    monkeypatch.setattr(codec.transforms, "block", 64)
    tiled = codec.decode_tiles(coded)
    assert np.abs(tiled.astype(int) - whole).max() <= 1


def test_lost_tiles_are_grey(codec: Codec):
    x = photo(128, 256)
    payloads: list[bytes | None] = list(codec.encode_tiles(x, 5000, 128))
    payloads[1] = None
    pixels = codec.decode_tiles(Coded(payloads, 256, 128, 5000, 128))
    assert (pixels[:, 128:] == 128).all()
    assert not (pixels[:, :100] == 128).all()


@pytest.mark.parametrize("name", NAMES)
def test_halo_covers_the_synthesis(name: str):
    """Latents further away than the halo do not touch a pixel, whatever the weights."""
    cls = registry.lookup(name)
    torch.manual_seed(0)
    model = cls(cls.configure())
    with torch.no_grad():
        for parameter in model.parameters():  # zero-initialised layers would hide those before
            parameter.add_(0.05 * torch.randn_like(parameter))
    assert model.reach <= model.halo
    halo, step = model.halo, model.pixels
    channels = model.shapes(64, 64)["y"][0]
    y_hat = torch.randn(1, channels, 4, 2 * halo + 8)
    other = y_hat.clone()
    other[..., -4:] += 5
    level = torch.tensor([5000.0])
    with torch.inference_mode():
        change = (model.synthesise(y_hat, level) - model.synthesise(other, level)).abs()
    untouched = (halo + 4) * step
    assert change[..., :untouched].max() == 0
    assert change[..., untouched:].max() > 0


@pytest.mark.parametrize(
    ("name", "depths"),
    [
        *((name, {}) for name in NAMES),
        ("elic", {"blocks": 3, "units": 3, "kernels": (5, 5, 5, 5)}),
        ("cheng2020", {"units": 3}),
        ("hific", {"head": (5, 12), "blocks": 0, "units": 0}),
    ],
)
def test_reach_is_how_far_pixels_depend(name: str, depths: dict[str, Any]):
    """By their gradients, in double precision; the next sample's pixels are no nearer."""
    cls = registry.lookup(name)
    torch.manual_seed(0)
    model = cls(replace(cls.configs["toy"], **depths)).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    middle = 24
    channels = model.shapes(64, 64)["y"][0]
    y_hat = torch.randn(1, channels, 4, 2 * middle, dtype=torch.float64, requires_grad=True)
    x_hat = model.synthesise(y_hat, torch.tensor([5000.0], dtype=torch.float64))
    x_hat[..., middle * model.pixels : (middle + 1) * model.pixels].sum().backward()
    assert y_hat.grad is not None
    seen = y_hat.grad.abs().sum((0, 1, 2)).nonzero()
    assert max(middle - int(seen.min()), int(seen.max()) - middle) == model.reach
    if model.reach > model.halo:
        with pytest.raises(WeightsError, match="reach"):
            weights.storable(model)


def test_analysis_blocks_match_the_whole(codec: Codec, monkeypatch: pytest.MonkeyPatch):
    x = photo(256, 384)
    whole = codec.transforms.analyse(x, 8000)
    monkeypatch.setattr("lic_models.transforms.Transforms.block", 128)
    blocks = codec.transforms.analyse(x, 8000)
    assert torch.allclose(whole, blocks, atol=2e-3)


def test_training_reaches_every_parameter(codec: Codec):
    cls = registry.lookup(codec.name)
    torch.manual_seed(0)
    model: Model = cls(codec.model.config)
    for parameter in model.parameters():  # zero-initialised layers would hide those before them
        if parameter.dim() > 1 and not parameter.any():
            torch.nn.init.normal_(parameter, std=0.05)
    scales = [m for m in model.modules() if hasattr(m, "scale")]
    for module in scales:
        torch.nn.init.ones_(module.scale)
    for layer in model.integer_layers().values():
        torch.nn.init.uniform_(layer.bias, 0.5, 1.0)
    x = torch.stack([photo(128, 128, 1), photo(128, 128, 2)])
    level = torch.tensor([900.0, 9100.0])
    latents = model.latents(model.analyse(x, level), level)
    y_hat, bits = estimate(model, latents, level, noisy)
    loss = bits.mean() + (model.synthesise(y_hat["y"] / UNIT, level) - x).square().mean() * 1e5
    loss.backward()
    without = [n for n, p in model.named_parameters() if p.grad is None]
    assert without == []


def test_cost_is_per_pixel(codec: Codec, monkeypatch: pytest.MonkeyPatch):
    """Larger images cost the same per pixel, and no less than the layers next to the pixels."""
    found = costs.cost(codec.model)
    monkeypatch.setattr(costs, "SIDE", 192)
    assert tuple(costs.cost(codec.model)) == pytest.approx(tuple(found), rel=1e-4)
    first, last = codec.model.g_a.convs[0], codec.model.g_s.convs[-1]
    assert found.encode > first.weight.numel() / 4 / 1000
    assert found.decode > last.weight.numel() / 4 / 1000


def test_cost_counts_fused_layers(codec: Codec, monkeypatch: pytest.MonkeyPatch):
    """A branch gives one image's level to its weights, past the layers; they count all the same."""
    found = costs.cost(codec.model)
    monkeypatch.setattr(layers, "_convolve", lambda layer, x, *_: layer(x))
    assert costs.cost(codec.model) == found
    monkeypatch.setattr(layers, "_convolve", lambda layer, x, *_: layer(torch.cat([x, x]))[:1])
    branches = any(isinstance(m, layers.Branch) for m in codec.model.modules())
    assert (costs.cost(codec.model).encode > found.encode) == branches


def test_stored_layers_are_exact_in_float32(codec: Codec):
    for name, layer in codec.model.integer_layers().items():
        assert layer.frozen is not None, name
        assert layer.frozen[0].dtype == torch.float32, name


@pytest.mark.parametrize("cut", [1, 4, 12])
def test_short_payloads_raise_or_differ(codec: Codec, cut: int):
    """A payload has no checksum of its own: what is cut off shows, or makes other latents."""
    (payload,) = codec.encode_tiles(photo(64, 64), 6000, 0)
    (whole,) = codec.decode_latents(Coded([payload], 64, 64, 6000, 0))
    assert whole is not None
    try:
        (found,) = codec.decode_latents(Coded([payload[:-cut]], 64, 64, 6000, 0))
    except StreamError:
        return
    assert cut % 4 == 0
    assert found is not None
    assert any(not torch.equal(found[name], whole[name]) for name in whole)


def test_raw_streams_are_checked():
    """Each fault of the framing, the claimed size before anything is allocated."""
    codec = lic_models.load("tiny", device="cpu")
    data = codec.encode(photo(64, 64), 60)
    for bad, message in (
        (data[:5], "5 bytes"),
        (data[:-1], "payload"),
        (data + b"\0", "length: found 1 bytes, allowed are 4"),
        (data + bytes(4), "tiles: found 2"),
        (bytes(4) + data[4:], "0 x 64"),
        (data[:8] + b"\0\0" + data[10:], "level"),
        (struct.pack("<IIHB", 1 << 31, 1 << 31, 6000, 0) + data[11:], "in a tile"),
        (struct.pack("<IIHB", 1 << 31, 1 << 31, 6000, 1) + data[11:], "tiles: found 1"),
        (struct.pack("<IIHB", 1 << 22, 1, 6000, 0) + data[11:], "found 268435456 pixels"),
    ):
        with pytest.raises(StreamError, match=message):
            codec.decode(bad)


def test_long_payloads_are_refused(codec: Codec):
    (payload,) = codec.encode_tiles(photo(64, 64), 6000, 0)
    with pytest.raises(StreamError):
        codec.decode_tiles(Coded([payload + b"\x01\x02\x03\x04" * 4], 64, 64, 6000, 0))


def test_unknown_names_list_the_known():
    with pytest.raises(UnknownModel, match="elic"):
        lic_models.load("jpeg")
    with pytest.raises(UnknownModel, match="tiny"):
        lic_models.model_name(250)


def test_missing_weights_name_the_fingerprint():
    with pytest.raises(WeightsNotFound, match=r"tiny.*0102030405060708"):
        lic_models.load("tiny", fingerprint=bytes(range(1, 9)))


def test_registration_is_unique():
    cls = registry.lookup("tiny")
    with pytest.raises(ValueError, match="already"):
        registry.register("tiny", id=77)(cls)
    with pytest.raises(ValueError, match="already"):
        registry.register("other", id=cls.model_id)(cls)
    assert registry.register("tiny", id=cls.model_id)(cls) is registry.lookup("tiny")  # again
    with pytest.raises(ValueError, match="0 to 255"):
        registry.register("huge", id=256)
    with pytest.raises(ValueError, match="a to z"):
        registry.register("my.model", id=77)


def test_what_is_our_own_comes_first():
    """A package that registers before anything was looked up meets our names all the same."""
    code = (
        "from lic_models import registry, base\n"
        "class Mine(base.Model): pass\n"
        "try: registry.register('mine', id=7)(Mine)\n"
        "except ValueError as error: print(error)\n"
        "registry.register('mine', id=77)(Mine)\n"
        "print(registry.names())"
    )
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "'mine' (id 7)" in found.stdout
    assert "'checkerboard'" in found.stdout


def test_weights_are_verified(tmp_path):
    found = weights.find("tiny")
    copy = tmp_path / found.path.name
    data = bytearray(found.path.read_bytes())
    data[-1] ^= 1
    copy.write_bytes(data)
    with pytest.raises(WeightsError, match="fingerprint"):
        weights.load(found._replace(path=copy), torch.device("cpu"))
    copy.write_bytes(data[:100])
    with pytest.raises(WeightsError, match="tiny"):
        weights.load(found._replace(path=copy), torch.device("cpu"))


def test_weights_of_types_without_a_fingerprint_are_refused(tmp_path):
    found = weights.find("tiny")
    path = tmp_path / found.path.name
    tensors = {name: tensor.bfloat16() for name, tensor in load_file(found.path).items()}
    save_file(tensors, path, {"model": "tiny"})
    with pytest.raises(WeightsError, match=r"found torch\.bfloat16"):
        weights.load(found._replace(path=path), torch.device("cpu"))


def test_weights_of_other_types_are_refused(tmp_path):
    """A file that is whole, and whose fingerprint fits, but holds float32 where float16 belongs."""
    found = weights.find("tiny")
    with safe_open(found.path, framework="pt") as file:
        metadata = file.metadata()
    tensors = load_file(found.path)
    name = next(name for name, tensor in tensors.items() if tensor.dtype == torch.float16)
    tensors[name] = tensors[name].float()
    digest = weights.fingerprint("tiny", metadata["config"], tensors)
    path = tmp_path / f"tiny-9-{digest.hex()}.safetensors"
    save_file(tensors, path, metadata)
    with pytest.raises(WeightsError, match=f"{name}.*float32.*allowed is torch.float16"):
        weights.load(weights.Found("tiny", 9, digest, path), torch.device("cpu"))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("[]", "allowed is an object"),
        ("5", "allowed is an object"),
        ("[" * 100_000, "config"),
        ({"M": -5}, "M: found -5"),
        ({"M": 2**33}, "M: found 8589934592"),
        ({"features": 4096}, "found shape"),
        ({"M": "wide"}, "M: found 'wide'"),
        ({"M": True}, "M: found True, allowed is a whole number from 2 to 4096"),
        ({"M": [16]}, r"M: found \(16,\), allowed is a number"),
        ({"context": 0}, "context: found 0, allowed is a whole number from 1 to 4096"),
        ({"spatial": [1, 8]}, "spatial: found 1, allowed is a whole number from 3 to 4096"),
        ({"depth": 3}, "keys: .*depth"),
        ("{}", "keys: .*M"),
        ({"hidden": []}, "hidden: found 0 numbers, allowed are 2"),
        ({"hidden": 12}, "hidden: found 12, allowed is a list"),
        ({"groups": [4, 8]}, "groups: .*allowed are such that sum to 16"),
        ({"spatial": [4, 8]}, "kernel: found 4, allowed are odd"),
        ({"kernels": [4, 3, 3, 3]}, "kernel: found 4, allowed are odd"),
        ({"units": 9}, "reach"),
    ],
)
def test_hostile_configurations_are_refused(tmp_path, config: Any, message: str):
    """The fingerprint fits; nothing is as large as is claimed."""
    found = weights.find("tiny")
    with safe_open(found.path, framework="pt") as file:
        metadata = file.metadata()
    tensors = load_file(found.path)
    if isinstance(config, dict):
        config = json.dumps({**json.loads(metadata["config"]), **config}, sort_keys=True)
    digest = weights.fingerprint("tiny", config, tensors)
    path = tmp_path / f"tiny-9-{digest.hex()}.safetensors"
    save_file(tensors, path, {**metadata, "config": config})
    with pytest.raises(WeightsError, match=message):
        weights.load(weights.Found("tiny", 9, digest, path), torch.device("cpu"))


def test_weights_are_numbers(tmp_path):
    """Neither written nor read with anything else in them, and no half of a file stays behind."""
    model = registry.lookup("tiny")(registry.lookup("tiny").configure())
    with torch.no_grad():
        model.get_parameter("gain.log")[0, 0] = float("nan")
    with pytest.raises(WeightsError, match=r"gain\.log"):
        weights.export(model, tmp_path, generation=1, notes={})
    with pytest.MonkeyPatch.context() as patch:
        config = {**model.config_dict(), "M": 0.5}
        patch.setattr(model, "config_dict", lambda: config)
        with pytest.raises(WeightsError, match=r"M: found 0\.5"):
            weights.export(model, tmp_path, generation=1, notes={})
    assert not list(tmp_path.iterdir())
    found = weights.find("tiny")
    with safe_open(found.path, framework="pt") as file:
        metadata = file.metadata()
    tensors = load_file(found.path)
    tensors["gain.log"][0, 0] = float("inf")
    digest = weights.fingerprint("tiny", metadata["config"], tensors)
    path = tmp_path / f"tiny-9-{digest.hex()}.safetensors"
    save_file(tensors, path, metadata)
    with pytest.raises(WeightsError, match=r"gain\.log"):
        weights.load(weights.Found("tiny", 9, digest, path), torch.device("cpu"))


def test_threads_share_one_load(monkeypatch: pytest.MonkeyPatch):
    loads = []
    plain = weights.load

    def slow(*arguments: Any) -> Model:
        loads.append(1)
        time.sleep(0.2)
        return plain(*arguments)

    monkeypatch.setattr(weights, "load", slow)
    codec_module._load.cache_clear()
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: lic_models.load("tiny", "cpu"), range(4)))
    assert len(loads) == len({id(each) for each in found}) == 1


def test_weights_path_adds_folders(tmp_path, monkeypatch: pytest.MonkeyPatch):
    found = weights.find("tiny")
    newer = tmp_path / found.path.name.replace(f"-{found.generation}-", "-9-")
    newer.write_bytes(found.path.read_bytes())
    monkeypatch.setenv("LIC_WEIGHTS_PATH", str(tmp_path))
    assert weights.find("tiny").path == newer
    monkeypatch.setenv("LIC_WEIGHTS_PATH", str(tmp_path / "tpyo"))
    with pytest.warns(UserWarning, match="LIC_WEIGHTS_PATH: found no folder .*tpyo"):
        assert weights.find("tiny").path == found.path


@pytest.mark.parametrize("quality", [0, 101, "high", float("nan"), True, None, 0.5])
def test_bad_quality(quality: object):
    with pytest.raises(ValueError, match="quality"):
        lic_models.level_from_quality(quality)


@pytest.mark.parametrize("shape", [(3, 0, 5), (4, 8, 8), (8, 8)])
def test_bad_tensors(shape: tuple[int, ...]):
    with pytest.raises(ValueError, match="image"):
        lic_models.load("tiny").encode_tiles(torch.zeros(shape), 5000, 0)


@pytest.mark.parametrize("value", [-0.01, 1.01, 255, float("nan"), float("inf")])
def test_bad_values(value: float):
    x = photo(64, 64)
    x[1, 2, 3] = value
    with pytest.raises(ValueError, match="image: found values from"):
        lic_models.load("tiny").encode(x)


def test_bad_device():
    with pytest.raises(ValueError, match="device"):
        lic_models.load("tiny", device="abacus")


def test_read_only_arrays_are_fine(codec: Codec):
    pixels = np.full((64, 64, 3), 90, np.uint8)
    pixels.setflags(write=False)
    assert codec.encode_tiles(pixels, 5000, 0)


def test_residual_prediction_is_of_use():
    """With the weights that ship a photo is closer to the original for it."""
    path = resources.files("pillow_lic").joinpath("data/kitten.png")
    with path.open("rb") as file, Image.open(file) as image:
        pixels = np.asarray(image.convert("RGB"))[:256, :256]
    codec = Codec(
        copy.deepcopy(lic_models.load("minnen2020", "cpu").model), bytes(8), torch.device("cpu")
    )
    errors = []
    for _ in range(2):
        seen = np.asarray(codec.encode_seen(pixels, 1000, 0)[1], np.float64)
        errors.append(np.square(seen - pixels).mean())
        for network in cast(Any, codec.model).lrp:
            torch.nn.init.zeros_(network[2].weight)
            torch.nn.init.zeros_(network[2].bias)
    assert errors[0] < errors[1]


@pytest.mark.parametrize(
    ("name", "millions", "channels"),
    [
        ("balle2017", 7.0, 320),
        ("balle2018", 11.8, 320),
        ("minnen2018", 25.5, 320),
        ("cheng2020", 29.6, 192),
        ("minnen2020", 52.6, 320),  # with kernels of 3x3, as ours, where the authors have 5x5
        ("hific", 181.4, 220),
        ("checkerboard", 25.5, 320),
        ("elic", 32.1, 320),
    ],
)
def test_paper_widths(name: str, millions: float, channels: int):
    """Parameters as published, within a fifth: hyper networks and conditioning are our own."""
    cls = registry.lookup(name)
    with torch.device("meta"):
        model = cls(cls.configs["paper"])
    count = sum(p.numel() for p in model.parameters()) / 1e6
    assert abs(count - millions) < 0.2 * millions
    assert model.shapes(256, 384)["y"] == (channels, 16, 24)


def test_a_model_from_outside_is_one_class(monkeypatch: pytest.MonkeyPatch, tmp_path):
    """What another package registers is a model like ours: it trains, ships and codes."""
    monkeypatch.setattr(registry, "_classes", dict(registry._classes))
    monkeypatch.setattr(registry, "_ids", dict(registry._ids))
    monkeypatch.setenv("LIC_WEIGHTS_PATH", str(tmp_path))
    base = registry.lookup("balle2018")

    @registry.register("ninth", id=200)
    class Ninth(base):  # type: ignore[misc, valid-type]
        configs: ClassVar[dict[str, Any]] = {"shipped": base.configs["toy"]}

    assert "ninth" in lic_models.names()
    torch.manual_seed(0)
    model = Ninth(Ninth.configure())
    linear_start(model, torch.stack([photo(128, 128, seed) for seed in range(8)]))
    weights.export(model, tmp_path, generation=1, notes={})
    assert "ninth" in lic_models.installed()
    codec = lic_models.load("ninth", "cpu")
    x_hat = codec.decode(codec.encode(photo(90, 80), 80))
    assert (x_hat[0] - photo(90, 80)).square().mean() < 0.01
    path = tmp_path / "x.lic"
    tensors.write(path, photo(90, 80), model="ninth", quality=80)
    run("transcode", path, "--quality", 50, "--overwrite")
    with Image.open(path) as image:
        assert (image.header.model, image.info["quality"]) == (200, 50)


def test_modules_of_others_are_found(tmp_path):
    """By every program, as a command line imports nobody's."""
    (tmp_path / "mine.py").write_text(
        "from lic_models.models.balle2018 import Balle2018\n"
        "from lic_models.registry import register\n"
        "@register('mine', id=201)\n"
        "class Mine(Balle2018): pass\n"
    )
    code = "import lic_models; print(lic_models.names()[-1])"
    paths = {**os.environ, "PYTHONPATH": str(tmp_path)}

    def run_with(names: str) -> subprocess.CompletedProcess[str]:
        words, env = [sys.executable, "-c", code], {**paths, "LIC_MODELS": names}
        return subprocess.run(words, env=env, capture_output=True, text=True, check=False)

    assert run_with("mine").stdout == "mine\n"
    assert "ImportError: LIC_MODELS: nosuch: No module" in run_with("nosuch").stderr


def test_loaded_weights_are_parameters_too(codec: Codec, tmp_path):
    """Whoever copies, or exports again, what was loaded has the same model."""
    found = weights.export(codec.model, tmp_path, generation=9, notes={})
    assert found.fingerprint == codec.fingerprint
    model = type(codec.model)(codec.model.config)
    model.load_state_dict(codec.model.state_dict())
    torch.manual_seed(1)
    other = copy.deepcopy(codec.model)
    other.load_state_dict(type(codec.model)(codec.model.config).state_dict())
    assert all(layer.frozen is None for layer in other.integer_layers().values())
    for name, layer in model.integer_layers().items():
        stored = codec.model.integer_layers()[name].frozen
        assert stored is not None
        weight, bias, shift = layer.rounded()
        unit = torch.exp2(shift - stored[2])  # bounds met by a hair may be missed by it
        assert torch.allclose(weight, stored[0] * unit[:, None, None, None], atol=0.51)
        assert torch.allclose(bias, stored[1] * unit, atol=0.51)
