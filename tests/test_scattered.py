"""Contexts from sums are what the whole layer computes, on every way through it."""

from __future__ import annotations

import pytest
import torch

from lic_models import integer, scattered
from lic_models.causal import Causal, Gathered
from lic_models.integer import FULL, IntConv2d
from lic_models.positions import Neighbourhood, checkerboard, checkerboard_taps, take, wavefronts
from lic_models.scattered import Scattered

CPU = torch.device("cpu")
LEVEL = 4321


def _frozen(layer: IntConv2d, largest: int = 7) -> IntConv2d:
    torch.manual_seed(0)
    weight = torch.randint(-largest, largest + 1, layer.weight.shape)
    if layer.mask is not None:
        weight = weight * layer.mask.int()
    outputs = len(weight)
    bias = torch.randint(-500, 500, (10, outputs))
    shift = torch.randint(0, 5, (outputs,)) + largest.bit_length()
    layer.freeze(weight, bias, shift)
    return layer


def _values(*shape: int, live: float) -> torch.Tensor:
    torch.manual_seed(1)
    return torch.randint(-FULL, FULL + 1, shape).float() * (torch.rand(shape) < live)


@pytest.fixture(params=["float32", "fewer bits asked for", "float64"])
def arithmetic(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """The largest weight, which decides on the type; other products when float32 is not that."""
    if request.param == "fewer bits asked for":
        monkeypatch.setattr(integer, "_ieee", lambda: False)
    return 30000 if request.param == "float64" else 7


@pytest.mark.parametrize("live", [0.0, 0.1, 0.3, 0.5, 1.0])
def test_the_other_half_of_a_board_is_what_the_convolution_says(
    live: float, arithmetic: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(scattered, "AT_ONCE", 13)  # of 32 anchors
    layer = _frozen(IntConv2d(6, 5, 5, lo=-FULL, mask=checkerboard_taps(5)), arithmetic)
    values = _values(2, 6, 7, 9, live=live)
    anchors, others = checkerboard(7, 9)
    known = torch.zeros_like(values).flatten(2)
    known[:, :, anchors] = values.flatten(2)[:, :, anchors]
    sums = Scattered(layer, LEVEL, values)
    sums.put(anchors, take(values, anchors))
    found = sums.at(others)
    assert torch.equal(found, take(layer(known.view(values.shape), LEVEL), others))
    assert found.dtype == torch.float32
    assert layer.frozen is not None
    assert (layer.frozen[0].dtype == torch.float64) == (arithmetic > 7)
    assert found.unique().numel() > 20 * live


@pytest.mark.parametrize("live", [0.0, 0.1, 0.3, 0.5, 1.0])
def test_waves_from_sums_are_waves_from_neighbours(live: float, arithmetic: int):
    layer = Causal(6, 5)
    _frozen(layer, arithmetic)
    values = _values(1, 6, 7, 9, live=live)
    scattered, gathered = (kind(layer, LEVEL, values) for kind in (Scattered, Gathered))
    found = []
    for positions in wavefronts(7, 9, 5, "cpu"):
        found.append(scattered.at(positions))
        assert torch.equal(found[-1], gathered.at(positions))
        for contexts in (scattered, gathered):
            contexts.put(positions, take(values, positions))
    assert torch.cat(found, -1).unique().numel() > 20 * live


def test_zeros_are_passed_over_while_they_are_many(monkeypatch: pytest.MonkeyPatch):
    used = []
    plain = torch.nn.functional.embedding_bag

    def noted(*arguments: object, **options: object) -> torch.Tensor:
        used.append(True)
        return plain(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(scattered.F, "embedding_bag", noted)
    for live, times in ((0.1, 1), (0.9, 1), (0.3, 2)):
        a, weight = _values(12, 40, live=live), _values(40, 16, live=1.0) // FULL
        assert torch.equal(scattered._product(a, weight), a @ weight)
        assert len(used) == times


def test_adding_is_the_adjoint_of_looking_the_other_way():
    offsets = [(-1, 0), (0, -2), (1, 1)]
    torch.manual_seed(0)
    a = torch.randint(-9, 9, (1, 4, 5, 6)).double()
    order = torch.randperm(30)
    opposite = [(-row, -column) for row, column in offsets]
    seen = Neighbourhood(a.shape, opposite, CPU, torch.float64)
    seen.put(order, take(a, order))
    around = seen.around(order)
    sums = Neighbourhood(a.shape, offsets, CPU, torch.float64)
    parts = torch.randint(-9, 9, around.shape).double()
    sums.add(order, parts.squeeze(2).transpose(1, 2))
    back = sums.at(order)
    assert (around * parts).sum() == (take(a, order) * back).sum()
