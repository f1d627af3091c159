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
TABLES_SHA256 = "8549a7f7e1e9b3870af480803f1a076ee4af8bc34922591c8e24d46a410b4bb8"
BITS = [0, TOTAL // 2, TOTAL]


class Table:
    """One line of tables.txt; `cumulative` has one number more than there are letters."""

    def __init__(self, line: str) -> None:
        number, *side, escape = map(int, line.split(" "))
        self.number = number
        self.half = len(side) - 1
        self.cumulative = [0, *accumulate([*side[:0:-1], *side, escape])]
        if self.cumulative[-1] != TOTAL or min(*side, escape) < 1:
            raise ValueError(f"table {number}: weights are not positive with sum {TOTAL}")


def read_tables(path: Path) -> list[Table | None]:
    """Return the tables by index; index 0 has none."""
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != TABLES_SHA256:
        raise ValueError(f"{path}: not the tables of the specification")
    tables = [Table(line) for line in data.decode("ascii").split("\n") if line]
    if [table.number for table in tables] != list(range(1, len(tables) + 1)):
        raise ValueError(f"{path}: lines are not numbered from 1")
    return [None, *tables]


class Reader:
    """Section 6.3. Only the difference of `point` and `low` is ever used, so only it is kept."""

    def __init__(self, payload: bytes) -> None:
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

    def letters(self, cumulative: list[int], count: int) -> list[int]:
        """Read `count` letters of one table."""
        out = []
        difference, range_ = self.difference, self.range
        for _ in range(count):
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
        self.any |= count > 0
        return out

    def bit(self) -> int:
        return self.letters(BITS, 1)[0]

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

    def symbols(self, table: Table, count: int) -> list[int]:
        """Read one run: the letters of all symbols, then the excesses of the escaped ones."""
        escape = 2 * table.half + 1
        letters = self.letters(table.cumulative, count)
        out = [letter - table.half for letter in letters]
        for at, letter in enumerate(letters):
            if letter == escape:
                excess = self.excess()
                out[at] = excess + (table.half if excess > 0 else -table.half)
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
