"""The rows of a benchmark on disk, and what they say together."""

from __future__ import annotations

import itertools
import json
import math
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import files, metrics
from .coders import Coder
from .measure import Picture, Row

__all__ = ["GAIN_RANGE", "Point", "Store", "Summary", "curve", "published", "summarise"]

SAVE_EVERY = 5.0  # seconds: what an interrupted run may lose
GAIN_RANGE = 0.15, 1.0  # bits per pixel in which photos are mostly used


@dataclass(frozen=True)
class Point:
    """One quality of one coder: means over images, but medians of times.

    What a published curve does not say is NaN.
    """

    quality: float
    bpp: float
    psnr: float
    ms_ssim: float
    encode_s: float
    decode_s: float

    @property
    def ms_ssim_db(self) -> float:
        return metrics.decibels(self.ms_ssim)


@dataclass(frozen=True)
class Summary:
    """One coder against the anchors.

    Attributes:
        bd_psnr, bd_ms_ssim: BD-rate in percent by anchor. least_gain: PSNR in dB by anchor, the
            least at equal rate in GAIN_RANGE. None where curves share no range.
        falls: steps of quality at which PSNR does not rise.
        estimated: bits reckoned over bits written, all images and qualities together.
    """

    coder: str
    bpp: tuple[float, float]
    bd_psnr: dict[str, float | None]
    bd_ms_ssim: dict[str, float | None]
    least_gain: dict[str, float | None]
    falls: list[tuple[float, float]]
    estimated: float | None


class Store:
    """Rows in a JSON file; those of other coders, weights and images stay in it.

    Attributes:
        versions: of the coders by name; rows of other versions are not found.
        changed: whether there are rows that the file does not have.
    """

    def __init__(self, path: Path, versions: Mapping[str, str]) -> None:
        self.path, self.versions = path, versions
        self.rows: dict[tuple[str, str, float, str], Row] = {}
        self.changed = False
        self._saved = time.monotonic()
        if path.exists():
            self._read()

    def _read(self) -> None:
        try:
            found = json.loads(self.path.read_text(encoding="utf-8"))
            rows = [Row(**row) for row in found["rows"]]
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(
                f"{self.path}: found something that `lic bench` did not write ({error}); "
                "move it away or choose another --out"
            ) from error
        self.rows = {row.key: row for row in rows}

    def get(self, coder: Coder, quality: float, picture: Picture, estimate: bool) -> Row | None:
        """Return a measurement that is there already, if it has all that is wanted."""
        row = self.rows.get((coder.name, self.versions[coder.name], quality, picture.digest))
        if row is not None and estimate and coder.device and row.estimated_bits is None:
            return None
        return row

    def add(self, row: Row) -> None:
        """Keep a row, and write the file now and then."""
        self.rows[row.key] = row
        self.changed = True
        if time.monotonic() - self._saved > SAVE_EVERY:
            self.save()

    def save(self, **more: Any) -> None:
        """Write all rows, and what else is given."""
        rows = [row.as_dict() for row in self.rows.values()]
        files.write_text(self.path, json.dumps({**more, "rows": rows}, indent=1) + "\n")
        self.changed = False
        self._saved = time.monotonic()


def curve(rows: Sequence[Row]) -> list[Point]:
    """Return one point per quality, in order."""
    points = []
    for quality in sorted({row.quality for row in rows}):
        here = [row for row in rows if row.quality == quality]
        points.append(
            Point(
                quality,
                bpp=statistics.fmean(row.bpp for row in here),
                psnr=statistics.fmean(row.psnr for row in here),
                ms_ssim=statistics.fmean(row.ms_ssim for row in here),
                encode_s=statistics.median(row.encode_s for row in here),
                decode_s=statistics.median(row.decode_s for row in here),
            )
        )
    return points


def published(path: Path) -> dict[str, list[Point]]:
    """Read curves that others measured: {name: [[bpp, PSNR, MS-SSIM], ...]}, null if unknown.

    Raises ValueError if the file holds something else.
    """
    curves: dict[str, list[Point]] = {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        for name, points in found.items():
            values = [[math.nan if v is None else float(v) for v in point] for point in points]
            curves[name] = [
                Point(math.nan, bpp, psnr, ms_ssim, math.nan, math.nan)
                for bpp, psnr, ms_ssim in sorted(values)
            ]
            if not all(0 < point.bpp < math.inf for point in curves[name]):
                raise ValueError(f"{name}: a rate that is none")
    except (ValueError, TypeError, AttributeError) as error:
        allowed = "allowed is {name: [[bpp, PSNR, MS-SSIM], ...]}"
        raise ValueError(f"{path}: found no curves ({error}), {allowed}") from error
    return curves


def _known(points: Sequence[Point], measure: str) -> list[tuple[float, float]]:
    """Return the points of a curve that have a measure, as (rate, measure)."""
    pairs = [(point.bpp, getattr(point, measure)) for point in points]
    return [(rate, value) for rate, value in pairs if not math.isnan(value)]


def _bd_rate(ours: Sequence[Point], theirs: Sequence[Point], measure: str) -> float | None:
    return metrics.bd_rate_if_any(_known(ours, measure), _known(theirs, measure))


def _least_gain(ours: Sequence[Point], theirs: Sequence[Point]) -> float | None:
    pairs = [_known(ours, "psnr"), _known(theirs, "psnr")]
    return (
        metrics.number(metrics.least_gain(pairs[0], pairs[1], *GAIN_RANGE)) if all(pairs) else None
    )


def summarise(
    rows: Mapping[str, Sequence[Row]], curves: Mapping[str, Sequence[Point]], anchors: Sequence[str]
) -> list[Summary]:
    """Compare every curve with those of the anchors; published ones have no rows."""
    found = []
    for name, points in curves.items():
        coded = [row for row in rows.get(name, ()) if row.estimated_bits is not None]
        bits = 8 * sum(row.payload_bytes or 0 for row in coded)
        steps = itertools.pairwise(points)
        found.append(
            Summary(
                coder=name,
                bpp=(min(point.bpp for point in points), max(point.bpp for point in points)),
                bd_psnr={a: _bd_rate(points, curves[a], "psnr") for a in anchors},
                bd_ms_ssim={a: _bd_rate(points, curves[a], "ms_ssim_db") for a in anchors},
                least_gain={a: _least_gain(points, curves[a]) for a in anchors},
                falls=[
                    (a.quality, b.quality)
                    for a, b in steps
                    if b.psnr <= a.psnr and not math.isnan(a.quality)  # published ones have none
                ],
                estimated=sum(row.estimated_bits or 0 for row in coded) / bits if bits else None,
            )
        )
    return found
