"""Mixtures of Gaussians as integer tables."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lic_models import mixtures
from lic_models.base import Mixture
from lic_models.entropy import mixture_bits
from lic_models.integer_blocks import COMPONENTS, MixtureParameters
from lic_models.rangecoder import SymbolDecoder, SymbolEncoder
from lic_models.tables import SCALE_MAX, SCALE_MIN, TOTAL


def components(seed: int, count: int, most: int, spread: int) -> np.ndarray:
    """Offset, index and weight, (3, K, n)."""
    random = np.random.default_rng(seed)
    offset = random.integers(-spread, spread + 1, (COMPONENTS, count))
    offset[0] = 0
    index = random.integers(0, most, (COMPONENTS, count))
    weight = random.integers(1, 100, (COMPONENTS, count))
    weight[0] = mixtures.WEIGHTS - weight[1:].sum(0)
    return np.stack([offset, index, weight]).astype(np.int64)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([1, 8, 40, 64]), st.sampled_from([0, 5, 300, 40000]))
def test_symbols_come_back(seed: int, most: int, spread: int):
    random = np.random.default_rng(seed)
    which = components(seed, 200, most, spread)
    symbols = (random.standard_cauchy(200) * 10).clip(-10000, 10000).astype(np.int32)
    encoder = SymbolEncoder()
    encoder.encode_mixtures(symbols, which)
    decoder = SymbolDecoder(encoder.finish())
    assert np.array_equal(decoder.decode_mixtures(which), symbols)
    assert decoder.exhausted()


@pytest.mark.parametrize("half", [4, 32, 128])
def test_weights_are_the_mixture(half: int):
    offset, index, weight = components(7, 100, 40, 100)
    found = mixtures.letter_weights(offset, index, weight, half)
    assert found.shape == (100, 2 * half + 2)
    assert found.min() >= 1
    assert (found.sum(1) == TOTAL).all()
    parts = Mixture(*(torch.from_numpy(v)[..., None].double() for v in (offset, index, weight)))
    letters = torch.arange(-half, half + 1).double().expand(100, -1)
    share = torch.exp2(-mixture_bits(letters, parts)).numpy()
    assert np.abs(found[:, :-1] / TOTAL - share).max() < 1e-2
    assert np.abs(found[:, :-1] / TOTAL - share).mean() < 2e-4


def test_alphabets_hold_the_mixture():
    offset, index, _ = components(3, 500, 64, 500)
    half = mixtures.halves(offset, index)
    assert set(half.tolist()) <= {4, 8, 16, 32, 64, 128}
    scale = SCALE_MIN * (SCALE_MAX / SCALE_MIN) ** (index / 63)
    need = (5 * scale + np.abs(offset) / 16).max(0)
    assert (half[need <= 128] >= need[need <= 128] - 1e-9).all()


def test_training_sees_the_integer_weights():
    """Frozen or not, the head gives the same integers; they sum to 256, largest first to gain."""
    torch.manual_seed(0)
    head = MixtureParameters(8, (8, 8), 5)
    for layer in (head.mean, head.index, head.logit):
        torch.nn.init.normal_(layer.weight, std=1.0)
    level = torch.tensor([4000.0])
    a = torch.randint(0, 100, (1, 8, 6, 7)).float()
    _, index, mixture = head(a, level)
    assert mixture.weight.requires_grad
    assert torch.equal(mixture.weight.round(), mixture.weight)
    assert torch.equal(mixture.weight.sum(0), torch.full_like(index, mixtures.WEIGHTS))
    assert torch.equal(mixture.index.amax(0), index)
    heaviest = mixture.weight.argmax(0, keepdim=True)
    assert not mixture.offset.gather(0, heaviest)[mixture.weight.amax(0)[None] > 140].any()
    with torch.no_grad():
        assert torch.equal(head(a, level)[2].weight, mixture.weight)
    mixture.weight.square().sum().backward()
    assert head.logit.weight.grad is not None
    assert head.logit.weight.grad.abs().sum() > 0
