"""Tables and range coder."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lic_models.entropy import index_bits
from lic_models.errors import StreamError
from lic_models.rangecoder import ESCAPE_BITS, SymbolDecoder, SymbolEncoder, bit, categorical
from lic_models.tables import INDICES, SCALE_MAX, SCALE_MIN, TOTAL, tables


def test_tables_are_what_the_scale_says():
    for index, table in enumerate(tables()[1:], 1):
        assert table is not None
        scale = SCALE_MIN * (SCALE_MAX / SCALE_MIN) ** (index / (INDICES - 1))
        residual = torch.arange(-table.half, table.half + 1, dtype=torch.float64)
        bits = index_bits(residual, torch.tensor(float(index)))
        shares = table.weights[:-1] / TOTAL
        assert np.abs(shares - np.exp2(-bits.numpy())).max() < 1e-4, scale
        assert table.weights.sum() == TOTAL
        assert np.array_equal(table.weights[:-1], table.weights[-2::-1])


@pytest.mark.parametrize("index", [1, 2, 30, 63])
def test_coder_uses_exactly_the_weights(index: int):
    """Many copies of one symbol cost log2(total / weight) bits each, so no weight was changed."""
    table = tables()[index]
    assert table is not None
    for letter in (0, 1, table.half, 2 * table.half, 2 * table.half + 1):
        coder = SymbolEncoder().coder
        coder.encode(np.full(3000, letter, np.int32), categorical(index))
        bits = 3000 * np.log2(TOTAL / table.weights[letter])
        assert abs(coder.num_bits() - bits) <= 64 + 1e-4 * bits


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(1, INDICES - 1), st.integers(-(2**18), 2**18) | st.integers(-4, 4)),
        max_size=60,
    )
)
def test_any_symbols_come_back(pairs: list[tuple[int, int]]):
    indices = np.array([p[0] for p in pairs], np.int64)
    symbols = np.array([p[1] for p in pairs], np.int32)
    encoder = SymbolEncoder()
    encoder.encode(symbols, indices)
    encoder.encode(symbols[::-1], indices[::-1])
    decoder = SymbolDecoder(encoder.finish())
    assert np.array_equal(decoder.decode(indices), symbols)
    assert np.array_equal(decoder.decode(indices[::-1]), symbols[::-1])
    assert decoder.exhausted()


def test_no_symbols_cost_no_bytes():
    assert SymbolEncoder().finish() == b""
    assert SymbolDecoder(b"").exhausted()


def test_symbols_past_the_escape_are_refused():
    with pytest.raises(ValueError, match="symbol"):
        SymbolEncoder().encode(np.array([2**20], np.int32), np.array([1]))


def test_golden_words():
    """Pinned bytes: a change here is a change of the format (spec/CHANGES.md)."""
    encoder = SymbolEncoder()
    indices = np.array([1, 5, 5, 20, 63, 20, 2], np.int64)
    encoder.encode(np.array([0, -1, 2, 3, -120, 900, 5], np.int32), indices)
    assert encoder.finish().hex() == "1a20a5ffcb7b80f5ec18ba157f5b0542"


def test_odd_lengths_are_refused():
    with pytest.raises(StreamError, match="multiples of 4"):
        SymbolDecoder(b"abc")


def test_endless_escape_is_refused():
    encoder = SymbolEncoder()
    table = tables()[1]
    assert table is not None
    encoder.coder.encode(np.array([2 * table.half + 1], np.int32), categorical(1))
    encoder.coder.encode(np.ones(ESCAPE_BITS + 2, np.int32), bit())
    with pytest.raises(StreamError, match="escape"):
        SymbolDecoder(encoder.finish()).decode(np.array([1]))


def test_bits_stay_finite_far_out():
    residual = torch.tensor([0.0, 0.4, 50.0, 3000.0], requires_grad=True)
    bits = index_bits(residual, torch.tensor([0.0, 63.0, 0.0, 0.0]))
    bits.sum().backward()
    assert torch.isfinite(bits).all()
    assert residual.grad is not None
    assert torch.isfinite(residual.grad).all()
