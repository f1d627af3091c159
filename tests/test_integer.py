"""Integer layers: the float tensors of both modes against plain Python integers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lic_models.errors import WeightsError
from lic_models.integer import FULL, IntConv2d, anchor_shares, level_lerp, magnitude
from lic_models.levels import ANCHORS, LEVEL_MAX, LEVEL_MIN, SPACING, anchor


def frozen(layer: IntConv2d) -> IntConv2d:
    """A copy that holds the layer's integers."""
    other = IntConv2d(
        layer.weight.shape[1],
        layer.weight.shape[0],
        layer.kernel,
        lo=layer.lo,
        hi=layer.hi,
        frac_out=layer.frac_out,
    )
    with torch.no_grad():
        weight, bias, shift = layer.rounded()
    other.freeze(weight.to(torch.int16), bias.to(torch.int32), shift.to(torch.uint8))
    return other


def by_hand(layer: IntConv2d, a: np.ndarray, level: int) -> np.ndarray:
    """The layer's definition with int64 arithmetic and no library call."""
    assert layer.frozen is not None
    weight, rows, shift = (t.to(torch.int64).numpy() for t in layer.frozen)
    below, t = anchor(level)
    bias = (rows[below] * (SPACING - t) + rows[below + 1] * t + SPACING // 2) // SPACING
    k = layer.kernel
    padded = np.pad(a, ((0, 0), (k // 2, k // 2), (k // 2, k // 2)))
    height, width = a.shape[1:]
    out = np.zeros((weight.shape[0], height, width), np.int64)
    for i in range(height):
        for j in range(width):
            window = padded[:, i : i + k, j : j + k]
            acc = (weight * window).sum((1, 2, 3)) + bias
            half = np.where(shift > 0, 1 << np.maximum(shift - 1, 0), 0)
            out[:, i, j] = (acc + half) >> shift
    return np.clip(out, layer.lo, layer.hi)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    kernel=st.sampled_from([1, 3, 5]),
    signed=st.booleans(),
    level=st.integers(LEVEL_MIN, LEVEL_MAX),
)
def test_frozen_layer_is_integer_arithmetic(seed: int, kernel: int, signed: bool, level: int):
    torch.manual_seed(seed)
    layer = IntConv2d(3, 4, kernel, lo=-FULL if signed else 0)
    torch.nn.init.normal_(layer.bias, std=2.0)
    layer = frozen(layer)
    a = torch.randint(-FULL, FULL + 1, (1, 3, 5, 4)).float()
    expected = by_hand(layer, a[0].numpy().astype(np.int64), level)
    found = layer(a, level)[0].numpy()
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("level", [LEVEL_MIN, LEVEL_MIN + 3 * SPACING, LEVEL_MAX])
def test_training_computes_what_ships(level: int):
    """At an anchor level, where no bias is interpolated, both modes agree to the last bit."""
    torch.manual_seed(1)
    layer = IntConv2d(16, 8, 3)
    torch.nn.init.normal_(layer.bias)
    a = torch.randint(0, FULL + 1, (1, 16, 9, 7)).float()
    with torch.no_grad():
        trained = layer(a, torch.tensor([float(level)]))
    assert torch.equal(trained, frozen(layer)(a, level))
    assert trained.unique().numel() > 20


def test_float32_and_float64_and_layouts_agree():
    torch.manual_seed(2)
    layer = frozen(IntConv2d(32, 32, 3))
    a = torch.randint(0, FULL + 1, (1, 32, 16, 16)).float()
    expected = layer(a, 5000)
    assert layer.frozen is not None
    assert layer.frozen[0].dtype == torch.float32
    assert torch.equal(layer(a.contiguous(memory_format=torch.channels_last), 5000), expected)
    weight, bias, shift = layer.frozen
    layer.frozen, layer._level = (weight.double(), bias, shift), None
    assert torch.equal(layer(a, 5000), expected)


def test_matmul_route_of_accelerators_agrees():
    torch.manual_seed(3)
    layer = frozen(IntConv2d(8, 8, 5))
    a = torch.randint(0, FULL + 1, (1, 8, 11, 6)).float()
    assert layer.frozen is not None
    weight, _, shift = layer.frozen
    acc = layer._matmul(a, weight, layer._at_level(777))
    out = (acc * torch.exp2(-shift.float())[None, :, None, None]).floor().clamp(layer.lo, layer.hi)
    assert torch.equal(out, layer(a, 777))


def test_bound_picks_the_width():
    layer = IntConv2d(4, 1, 1)
    bias, shift = torch.zeros(ANCHORS, 1), torch.zeros(1)
    small = torch.full((1, 4, 1, 1), 4000)  # 4 * 4000 * 1023 < 2^24
    large = torch.full((1, 4, 1, 1), 4200)
    assert layer.limits(small, bias, shift) == torch.float32
    assert layer.limits(large, bias, shift) == torch.float64


def test_bound_of_float64_is_refused():
    layer = IntConv2d(1, 1, 1)
    with pytest.raises(WeightsError, match=r"2\^53"):
        layer.freeze(
            torch.full((1, 1, 1, 1), 2**44),
            torch.zeros(ANCHORS, 1),
            torch.zeros(1, dtype=torch.int),
        )


@pytest.mark.parametrize(
    ("weight", "bias", "shift"),
    [
        ((2, 1, 1, 1), (ANCHORS, 1), 0),
        ((1, 1, 1, 1), (ANCHORS + 1, 1), 0),
        ((1, 1, 1, 1), (ANCHORS, 1), 31),
    ],
)
def test_malformed_layers_are_refused(weight: tuple, bias: tuple, shift: int):
    layer = IntConv2d(1, 1, 1)
    with pytest.raises(WeightsError, match=r"found .* allowed"):
        layer.freeze(torch.zeros(weight), torch.zeros(bias), torch.tensor([shift]))


def test_magnitudes_are_the_piecewise_logarithm():
    def by_definition(a: int) -> int:
        n = abs(a) + 16
        e = next(e for e in range(8) if 16 << e <= n < 32 << e)
        return 16 * e + (n >> e) - 16

    a = torch.arange(-FULL, FULL + 1)
    assert magnitude(a.float()).tolist() == [by_definition(v) for v in a.tolist()]
    learning = a.float().requires_grad_()
    out = magnitude(learning)
    assert torch.equal(out.detach(), magnitude(a.float()))  # the network that trains is what ships
    out.sum().backward()
    assert learning.grad is not None
    assert torch.equal(learning.grad.sign(), a.sign().float())


def test_gradients_lead_back_into_the_range():
    layer = IntConv2d(1, 1, 1, hi=63, frac_out=2, inward=True)
    torch.nn.init.zeros_(layer.weight)
    torch.nn.init.constant_(layer.bias, -1.0)  # index -4, clamped to 0
    out = layer(torch.zeros(1, 1, 1, 1), torch.tensor([100.0]))
    assert out.item() == 0
    (-out.sum()).backward()
    assert layer.bias.grad is not None
    assert layer.bias.grad[0].item() < 0


def test_shares_of_anchors_are_levels():
    """What training interpolates rows with says the same as levels."""
    level = torch.tensor([LEVEL_MIN, 101.0, 1234.5, LEVEL_MIN + SPACING, LEVEL_MAX])
    table = torch.randn(ANCHORS, 7, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(
        level_lerp(table, anchor_shares(level)), level_lerp(table, level), 0, 1e-5
    )
