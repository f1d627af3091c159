"""Symbols to bytes and back: constriction's range coder with our integer tables.

Symbols of one step are coded in ascending order of scale index, and within an index in C order,
one call per index that occurs; those of mixtures by the size of their alphabet instead. A symbol
outside its table's range is coded as the escape, and after the call its excess follows as an
Exp-Golomb code of equiprobable bits.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from itertools import pairwise
from typing import Any

import constriction
import numpy as np
from numpy.typing import NDArray

from . import mixtures
from .errors import StreamError
from .tables import tables

__all__ = ["SymbolDecoder", "SymbolEncoder", "bit", "categorical", "table_halves"]

ESCAPE_BITS = 18  # longest prefix of an escape's Exp-Golomb code: dequantised values stay exact

AT_ONCE = 1 << 14  # symbols whose own tables are in memory, 2 KB each at the most

_stream: Any = constriction.stream
Call = tuple[slice, tuple[Any, ...]]  # a part of the symbols, and what the coder takes for them


@cache
def categorical(index: int) -> Any:
    """The coder's model for one scale index; weights minus one make its rounding exact."""
    table = tables()[index]
    assert table is not None
    probabilities = (table.weights - 1).astype(np.float64)
    return _stream.model.Categorical(probabilities=probabilities, perfect=False)


@cache
def _any_categorical() -> Any:
    """The coder's model whose weights, again less one, come with each symbol."""
    return _stream.model.Categorical(perfect=False)


def _weights(components: NDArray[np.int32], half: int) -> NDArray[np.float64]:
    """What that model takes for mixtures (3, K, n): (n, letters)."""
    changes = np.flatnonzero((np.diff(components) != 0).any((0, 1))) + 1
    starts = np.concatenate([[0], changes])  # runs of one density: a channel's without contexts
    offset, index, weight = components[:, :, starts].astype(np.int64)
    found = (mixtures.letter_weights(offset, index, weight, half) - 1).astype(np.float64)
    return found.repeat(np.diff(starts, append=components.shape[2]), axis=0)


def _mixed(components: NDArray[np.int32], half: int, group: slice) -> Iterator[Call]:
    """Calls for a group of mixtures (3, K, n), which share an alphabet."""
    for start in range(group.start, group.stop, AT_ONCE):
        part = slice(start, min(start + AT_ONCE, group.stop))
        yield part, (_any_categorical(), _weights(components[:, :, part], half))


@cache
def bit() -> Any:
    """The coder's model for one equiprobable bit."""
    return _stream.model.Uniform(2)


@cache
def table_halves() -> NDArray[np.int32]:
    """The largest magnitude with a letter of its own, by scale index."""
    return np.array([0 if table is None else table.half for table in tables()], np.int32)


class _Groups:
    """Symbols by a small key, such as their scale index: ascending, in C order within each.

    order: what sorts them. slices: each key that occurs, with its part of the sorted ones.
    """

    def __init__(self, keys: NDArray[np.int64]) -> None:
        self.order = np.argsort(keys.astype(np.uint8), kind="stable")
        counts = np.bincount(keys)
        used = np.flatnonzero(counts)
        ends = np.cumsum(counts[used]).tolist()
        parts = [slice(a, b) for a, b in pairwise([0, *ends])]
        self.slices = list(zip(used.tolist(), parts, strict=True))


class SymbolEncoder:
    """Write symbols; `finish` returns the bytes.

    Attributes:
        coder: constriction's, which also writes what no symbol gives rise to.
    """

    def __init__(self) -> None:
        self.coder = _stream.queue.RangeEncoder()

    def encode(self, symbols: NDArray[np.int32], indices: NDArray[np.int64]) -> None:
        """Code symbols (n,) with scale indices (n,), each 1..63."""
        groups = _Groups(indices)
        calls = ([(part, (categorical(index),))] for index, part in groups.slices)
        self._write(symbols, table_halves()[indices], groups, calls)

    def encode_mixtures(self, symbols: NDArray[np.int32], components: NDArray[np.int32]) -> None:
        """Code symbols (n,), each with its own mixture: offset, index, weight are (3, K, n)."""
        halves = mixtures.halves(components[0], components[1])
        groups = _Groups(halves)
        components = components[:, :, groups.order]
        calls = (_mixed(components, half, part) for half, part in groups.slices)
        self._write(symbols, halves, groups, calls)

    def _write(
        self,
        symbols: NDArray[np.int32],
        halves: NDArray[np.integer],
        groups: _Groups,
        calls: Iterable[Iterable[Call]],
    ) -> None:
        """Code symbols, group by group, those outside their alphabets as escapes."""
        symbols, halves = symbols[groups.order], halves[groups.order]
        escaped = np.abs(symbols) > halves
        letters = np.where(escaped, 2 * halves + 1, symbols + halves).astype(np.int32)
        escapes = np.flatnonzero(escaped)
        ends = np.searchsorted(escapes, [part.stop for _, part in groups.slices]).tolist()
        for (first, last), each in zip(pairwise([0, *ends]), calls, strict=True):
            for part, model in each:
                self.coder.encode(letters[part], *model)
            for i in escapes[first:last]:
                self._escape(int(symbols[i]), int(halves[i]))

    def _escape(self, symbol: int, half: int) -> None:
        excess = abs(symbol) - half  # >= 1
        width = excess.bit_length() - 1
        if width > ESCAPE_BITS:
            most = half + 2 ** (ESCAPE_BITS + 1) - 1
            raise ValueError(f"symbol: found {symbol}, allowed is -{most} to {most}")
        bits = [1] * width + [0] + [excess >> i & 1 for i in reversed(range(width))]
        self.coder.encode(np.array([*bits, int(symbol < 0)], np.int32), bit())

    def finish(self) -> bytes:
        """Return the coded words, 32 bits each, little-endian."""
        words: NDArray[np.uint32] = self.coder.get_compressed()
        return words.astype("<u4").tobytes()


class SymbolDecoder:
    """Read symbols from bytes that `SymbolEncoder` wrote.

    Raises StreamError if the length is no multiple of four, an escape is too long, or no encoder
    leaves such a state.
    """

    def __init__(self, data: bytes) -> None:
        if len(data) % 4:
            raise StreamError(f"payload length: found {len(data)}, allowed are multiples of 4")
        words = np.frombuffer(data, "<u4").astype(np.uint32)
        self.coder = _stream.queue.RangeDecoder(words)

    def decode(self, indices: NDArray[np.int64]) -> NDArray[np.int32]:
        """Return the symbols (n,) for scale indices (n,), each 1..63."""
        groups = _Groups(indices)
        calls = (
            [(part, (categorical(index), part.stop - part.start))] for index, part in groups.slices
        )
        return self._read(table_halves()[indices], groups, calls)

    def decode_mixtures(self, components: NDArray[np.int32]) -> NDArray[np.int32]:
        """Return the symbols (n,) for mixtures (3, K, n): offset, index, weight."""
        halves = mixtures.halves(components[0], components[1])
        groups = _Groups(halves)
        components = components[:, :, groups.order]
        calls = (_mixed(components, half, part) for half, part in groups.slices)
        return self._read(halves, groups, calls)

    def _read(
        self, halves: NDArray[np.integer], groups: _Groups, calls: Iterable[Iterable[Call]]
    ) -> NDArray[np.int32]:
        """Return symbols, group by group, escapes resolved."""
        halves = halves[groups.order]
        letters = np.empty(len(halves), np.int32)
        try:
            for (_, group), each in zip(groups.slices, calls, strict=True):
                for part, model in each:
                    letters[part] = self.coder.decode(*model)
                found = letters[group]
                half = int(halves[group.start])
                if found.max() > 2 * half:
                    for i in (found > 2 * half).nonzero()[0].tolist():
                        found[i] = half + self._escape(half)
        except AssertionError as error:  # how constriction reports an impossible state
            raise StreamError("payload: not a stream of the range coder") from error
        symbols = np.empty_like(letters)
        symbols[groups.order] = letters - halves
        return symbols

    def _bit(self) -> int:
        return int(self.coder.decode(bit()))

    def _escape(self, half: int) -> int:
        width = 0
        while self._bit():
            width += 1
            if width > ESCAPE_BITS:
                raise StreamError(f"escape: found {width} prefix bits, allowed are {ESCAPE_BITS}")
        excess = 1
        for _ in range(width):
            excess = excess << 1 | self._bit()
        return -(excess + half) if self._bit() else excess + half

    def exhausted(self) -> bool:
        """Whether nothing but the coder's ending is left."""
        return bool(self.coder.maybe_exhausted())
