"""Every picture of a folder through every coder at every quality."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from . import measure
from .coders import Coder
from .results import Store

if TYPE_CHECKING:
    from rich.progress import Progress

__all__ = ["measure_all"]


def _measure_coder(
    coder: Coder,
    pictures: Sequence[measure.Picture],
    store: Store,
    estimate: bool,
    progress: Progress,
) -> list[measure.Row]:
    """Return a row per quality and picture, measuring those that the store lacks."""
    wanted = [(picture, quality) for picture in pictures for quality in coder.qualities]
    version = store.versions[coder.name]
    read = lru_cache(maxsize=1)(measure.pixels_of)
    warm = False
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for picture, quality in progress.track(wanted, description=coder.name):
            row = store.get(coder, quality, picture, estimate)
            if row is None:
                pixels = read(picture.path)
                try:
                    if not warm:
                        measure.code(coder, quality, pixels, folder)
                        warm = True
                    coded = measure.code(coder, quality, pixels, folder)
                except (OSError, ValueError) as error:
                    raise OSError(f"{coder.name}, {picture.path}: {error}") from error
                row = measure.compare(picture, pixels, coder, version, quality, coded)
                if estimate and coder.device:
                    payload, bits = measure.estimate(pixels, coded.path, coder.device)
                    row = replace(row, payload_bytes=payload, estimated_bits=bits)
                store.add(row)
            rows.append(row)
    return rows


def measure_all(
    found: Sequence[Coder],
    pictures: Sequence[measure.Picture],
    store: Store,
    estimate: bool,
) -> dict[str, list[measure.Row]]:
    """Return the rows of every coder; whatever happens, those that are measured are saved."""
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
    try:
        with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
            return {
                coder.name: _measure_coder(coder, pictures, store, estimate, progress)
                for coder in found
            }
    finally:
        if store.changed:  # or a run that fails at once would leave rows without their summary
            store.save()
