"""What a program asks of torch for itself does not reach the codec: the same bytes, any time."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
import torch
from samples import photo

from lic_models import integer, weights
from lic_models.base import Model
from lic_models.codec import Codec, Coded
from lic_models.integer import IntConv2d
from lic_models.pixels import Pixels

LEVEL = 6000


@contextmanager
def _default_dtype(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@contextmanager
def _deterministic() -> Iterator[None]:
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


SETTINGS: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "bfloat16 by default": lambda: _default_dtype(torch.bfloat16),
    "float64 by default": lambda: _default_dtype(torch.float64),
    "another device by default": lambda: torch.device("meta"),
    "deterministic": _deterministic,
    "no_grad": torch.no_grad,
    "inference": torch.inference_mode,
}


X = photo(70, 40)  # two tiles of 64


@pytest.fixture(scope="module", params=(0, 1))
def plain(codec: Codec, request: pytest.FixtureRequest) -> tuple[int, list[bytes], Pixels]:
    """An effort, and what it gives without any setting: payloads and their pixels."""
    payloads = codec.encode_tiles(X, LEVEL, 64, effort=request.param)
    return request.param, payloads, codec.decode_tiles(Coded(payloads, 40, 70, LEVEL, 64))


@pytest.mark.parametrize("setting", SETTINGS)
def test_settings_change_neither_bytes_nor_pixels(
    codec: Codec, plain: tuple[int, list[bytes], Pixels], setting: str
):
    effort, payloads, pixels = plain
    with SETTINGS[setting]():
        again = codec.encode_tiles(X, LEVEL, 64, effort=effort)
        seen = codec.decode_tiles(Coded(payloads, 40, 70, LEVEL, 64))
    assert again == payloads
    assert (seen == pixels).all()


def _tensors(model: Model) -> dict[str, torch.Tensor]:
    """Return all that a model computes with."""
    layers = model.integer_layers()
    rest = {n: t for n, t in model.state_dict().items() if n.rpartition(".")[0] not in layers}
    for name, layer in layers.items():
        assert layer.frozen is not None
        rest |= {f"{name} {i}": tensor for i, tensor in enumerate(layer.frozen)}
    return rest


def test_weights_loaded_in_inference_let_gradients_pass():
    """Codecs are kept: the mode of who asked first would be that of all."""
    code = (
        "import io, torch, pillow_lic; from PIL import Image\n"
        "image, file = Image.new('RGB', (64, 64), 'teal'), io.BytesIO()\n"
        "with torch.inference_mode(): image.save(file, 'LIC', model='tiny')\n"
        "image.save(file, 'LIC', model='tiny', effort=1)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("setting", SETTINGS)
def test_settings_do_not_change_weights_as_they_load(setting: str):
    found, device = weights.find("tiny"), torch.device("cpu")
    plain = weights.load(found, device)
    random = torch.get_rng_state()
    with SETTINGS[setting]():
        other = weights.load(found, device)
    assert torch.equal(torch.get_rng_state(), random)
    tensors, others = (_tensors(model) for model in (plain, other))
    assert tensors.keys() == others.keys()
    for name, tensor in tensors.items():
        assert others[name].dtype == tensor.dtype, name
        assert torch.equal(others[name], tensor), name


@pytest.mark.parametrize(("kernel", "operation"), [(1, "linear"), (3, "conv2d")])
@pytest.mark.parametrize("kind", ["conv", "matmul"])
def test_fewer_bits_for_float32_are_not_for_integers(
    monkeypatch: pytest.MonkeyPatch, kind: str, kernel: int, operation: str
):
    """Processors that multiply in bfloat16 when asked would compute other integers."""
    setting = getattr(torch.backends.mkldnn, kind, None)
    if setting is None:
        pytest.skip("this torch has no such setting")
    layer = IntConv2d(8, 8, kernel)
    layer.freeze(torch.ones(8, 8, kernel, kernel), torch.zeros(10, 8), torch.zeros(8))
    used = []
    plain = getattr(torch.nn.functional, operation)

    def noted(a: torch.Tensor, *rest: Any, **options: Any) -> torch.Tensor:
        used.append(a.dtype)
        return plain(a, *rest, **options)

    monkeypatch.setattr(f"lic_models.integer.F.{operation}", noted)
    before = setting.fp32_precision
    try:
        for precision in ("ieee", "bf16", "tf32"):
            setting.fp32_precision = precision
            layer(torch.ones(1, 8, 2, 2), LEVEL)
    finally:
        setting.fp32_precision = before
    assert used == [torch.float32, torch.float64, torch.float64]


def test_the_usual_switch_for_fewer_bits_is_seen():
    """`set_float32_matmul_precision` is what programs call; small convolutions heed it."""
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        assert not integer._ieee()
    finally:
        torch.set_float32_matmul_precision(before)
    assert integer._ieee()


@pytest.mark.parametrize("name", integer.ENVIRONMENT)
def test_fewer_bits_by_the_environment_are_seen(monkeypatch: pytest.MonkeyPatch, name: str):
    """oneDNN takes these without torch knowing."""
    for mode, exact in (("BF16", False), ("any", False), ("STRICT", True), ("", True)):
        monkeypatch.setenv(name, mode)
        assert integer._ieee() == exact
