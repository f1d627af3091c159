"""entropy.md, sections 4 to 6: probability tables, escapes, and the range coder both ways."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from itertools import accumulate
from pathlib import Path

from .errors import PayloadError

TOTAL_BITS = 24
TOTAL = 1 << TOTAL_BITS
WORD = (1 << 32) - 1
STATE = (1 << 64) - 1
ESCAPE_PREFIX_MAX = 18
END_DIFFERENCE = (1 << 33) - 1
TABLES_SHA256 = "af03ff3339cc7d57ec9e41266b483f78d4f776dea6e25a06509f4e1449047fad"
WHOLE = b"\1"
BITS = [0, TOTAL // 2, TOTAL]


class Table:
    """The weights of symbols -half, ..., half and of the escape.

    `cumulative` has one number more than there are letters.
    """

    def __init__(self, weights: list[int]) -> None:
        self.half = len(weights) // 2 - 1
        self.cumulative = [0, *accumulate(weights)]
        if self.cumulative[-1] != TOTAL or min(weights) < 1:
            raise ValueError(f"table: weights are not positive with sum {TOTAL}")


def _table(line: str, number: int) -> Table:
    found, *side, escape = map(int, line.split(" "))
    if found != number:
        raise ValueError(f"tables.txt: line {number} says that it is {found}")
    return Table([*side[:0:-1], *side, escape])


def read_tables(path: Path) -> list[Table | None]:
    """Return the tables by index; index 0 has none."""
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != TABLES_SHA256:
        raise ValueError(f"{path}: not the tables of the specification")
    lines = data.decode("ascii").splitlines()
    return [None, *(_table(line, number) for number, line in enumerate(lines, 1))]


class Reader:
    """Section 6.3. Only the difference of `point` and `low` is ever used, so only it is kept."""

    def __init__(self, payload: bytes) -> None:
        self.whole = payload[:1] == WHOLE and len(payload) % 4 == 1
        payload = payload[self.whole :]
        if len(payload) % 4:
            raise PayloadError(f"payload: {len(payload)} bytes found, a multiple of 4 allowed")
        self.words = [
            int.from_bytes(payload[at : at + 4], "little") for at in range(0, len(payload), 4)
        ]
        self.taken = 0
        self.difference = self.word() << 32 | self.word()
        self.range = STATE
        self.any = False
        self.log: list[tuple[int, int]] | None = None  # set to a list to keep (cumulative, weight)

    def word(self) -> int:
        self.taken += 1
        return self.words[self.taken - 1] if self.taken <= len(self.words) else 0

    def letters(self, tables: list[list[int]]) -> list[int]:
        """Read one letter of each table, given as cumulative weights."""
        out = []
        difference, range_ = self.difference, self.range
        for cumulative in tables:
            scale = range_ >> TOTAL_BITS
            quotient = difference // scale
            if quotient >= TOTAL:
                raise PayloadError("payload: a point outside all letters")
            letter = bisect_right(cumulative, quotient) - 1
            low, high = cumulative[letter], cumulative[letter + 1]
            difference -= scale * low
            range_ = scale * (high - low)
            if range_ <= WORD:
                range_ <<= 32
                difference = difference << 32 | self.word()
            out.append(letter)
            if self.log is not None:
                self.log.append((low, high - low))
        self.difference, self.range = difference, range_
        self.any |= bool(tables)
        return out

    def bit(self) -> int:
        return self.letters([BITS])[0]

    def excess(self) -> int:
        """Read how far a symbol lies beyond its table, with its sign."""
        width = 0
        while self.bit():
            width += 1
            if width > ESCAPE_PREFIX_MAX:
                raise PayloadError(f"payload: an escape of more than {ESCAPE_PREFIX_MAX} bits")
        value = 1
        for _ in range(width):
            value = value << 1 | self.bit()
        return -value if self.bit() else value

    def symbols(self, half: int, tables: list[Table]) -> list[int]:
        """Read one run: the letters of all symbols, then the excesses of the escaped ones."""
        letters = self.letters([table.cumulative for table in tables])
        out = [letter - half for letter in letters]
        for at, letter in enumerate(letters):
            if letter == 2 * half + 1:
                excess = self.excess()
                out[at] = excess + (half if excess > 0 else -half)
        return out

    def finish(self) -> None:
        if len(self.words) > self.taken:
            raise PayloadError(f"payload: {len(self.words) - self.taken} words too many")
        if self.any and self.difference >= END_DIFFERENCE:
            raise PayloadError("payload: does not end where its letters end")


def write(pairs: list[tuple[int, int]]) -> bytes:
    """Sections 6.4 and 6.5: the one payload of these (cumulative weight, weight) pairs."""
    words: list[int] = []
    low, range_ = 0, STATE

    def carry() -> None:
        at = len(words) - 1
        while words[at] == WORD:
            words[at] = 0
            at -= 1
        words[at] += 1

    for cumulative, weight in pairs:
        scale = range_ >> TOTAL_BITS
        low += scale * cumulative
        if low > STATE:
            low &= STATE
            carry()
        range_ = scale * weight
        if range_ <= WORD:
            words.append(low >> 32)
            low = low << 32 & STATE
            range_ <<= 32
    if pairs:
        end = low + WORD
        if end > STATE:
            end &= STATE
            carry()
        words.append(end >> 32)
        if ((low + range_) & STATE) >> 32 == end >> 32:
            words.append(0)
    return b"".join(word.to_bytes(4, "little") for word in words)
