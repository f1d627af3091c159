"""Alpha is lossless, small where it is simple, and bounded when it lies."""

from __future__ import annotations

import tracemalloc
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis.extra import numpy as hnp

from pillow_lic import alpha
from pillow_lic.errors import PayloadError

Plane = npt.NDArray[Any]

BITS = np.random.default_rng(0).integers(0, 2, (40, 50))
PLANES = {  # coin flips, summed in the directions that the filter takes apart
    alpha.NONE: BITS,
    alpha.LEFT: BITS.cumsum(axis=1),
    alpha.ABOVE: BITS.cumsum(axis=0),
    alpha.GRADIENT: BITS.cumsum(axis=0).cumsum(axis=1),
    alpha.CONSTANT: np.full((40, 50), 255),
}


SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=20)


@given(hnp.arrays(np.uint8, SHAPES) | hnp.arrays(np.uint16, SHAPES))
@settings(deadline=None, max_examples=100)
def test_round_trip(plane: Plane) -> None:
    """Any plane comes back to the bit."""
    height, width = plane.shape
    data, depth = alpha.encode(plane), 8 * plane.itemsize
    alpha.check(data, width, height, depth)
    back = alpha.decode(data, width, height, depth)
    assert back.dtype == plane.dtype
    assert np.array_equal(back, plane)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("filter_", PLANES)
def test_every_filter_is_chosen_and_undone(filter_: int, kind: type) -> None:
    """Each filter has a plane that it suits best."""
    plane = PLANES[filter_].astype(kind)
    data = alpha.encode(plane)
    assert data[0] == filter_
    assert np.array_equal(alpha.decode(data, 50, 40, 8 * plane.itemsize), plane)


def test_filters_by_hand() -> None:
    """The predictions, on numbers small enough to follow."""
    for filter_, rows in (
        (alpha.NONE, [[10, 20], [30, 60]]),
        (alpha.LEFT, [[10, 10], [30, 30]]),
        (alpha.ABOVE, [[10, 20], [20, 40]]),
        (alpha.GRADIENT, [[10, 10], [20, 20]]),
    ):
        data = bytes([filter_]) + zlib.compress(bytes(rows[0] + rows[1]))
        assert alpha.decode(data, 2, 2).tolist() == [[10, 20], [30, 60]]


def test_opaque_costs_two_bytes() -> None:
    """Most images with alpha are opaque; zlib alone would spend a kilobyte on each megapixel."""
    assert alpha.encode(np.full((1000, 1000), 255, np.uint8)) == bytes([alpha.CONSTANT, 255])


STREAM = zlib.compress(bytes(6))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "filter: found nothing"),
        (b"\x05" + STREAM, "filter: found 5, allowed is 0 to 4"),
        (b"\x04", "constant alpha: found 1 bytes"),
        (b"\x04\xff\xff", "constant alpha: found 3 bytes"),
        (b"\x00", "fewer than the allowed 6 bytes"),
        (b"\x00" + STREAM[:-1], "fewer than the allowed 6"),
        (b"\x00" + zlib.compress(bytes(5)), "fewer than the allowed 6"),
        (b"\x00" + zlib.compress(bytes(7)), "more than the allowed 6"),
        (b"\x00" + zlib.compress(bytes(50 << 20)), "more than the allowed 6"),
        (b"\x00" + STREAM + b"!", "found 1 bytes after the zlib stream"),
        (b"\x00" + b"!" + STREAM[1:], "the zlib stream is malformed"),
        (b"\x00" + STREAM[:-1] + b"!", "the zlib stream is malformed"),
    ],
)
def test_malformed(data: bytes, message: str) -> None:
    """Checking and decoding agree on what is wrong."""
    for call in (alpha.check, alpha.decode):
        with pytest.raises(PayloadError, match=message):
            call(data, 3, 2)


def test_a_bomb_takes_no_memory() -> None:
    data = b"\x00" + zlib.compress(bytes(50 << 20))
    tracemalloc.start()
    with pytest.raises(PayloadError, match="more than the allowed 6"):
        alpha.check(data, 3, 2)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 << 20
