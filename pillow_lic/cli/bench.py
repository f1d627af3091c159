"""`lic bench`: rate, distortion and time of our models and of Pillow's formats."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from . import (
    coders,
    files,
    measure,
    memory,
    metrics,
    options,
    photo,
    plots,
    results,
    rivals,
    tables,
)
from .coders import Coder

if TYPE_CHECKING:
    from rich.progress import Progress

__all__ = ["command"]

QUALITIES = ",".join(str(quality) for quality in range(5, 101, 5))
PHOTO_QUALITY = 75.0
NONE = "none"


@contextmanager
def _naming(option: str) -> Iterator[None]:
    """Turn what is wrong with an option's value into an error that names the option."""
    try:
        yield
    except typer.BadParameter as error:
        error.param_hint = option
        raise
    except (ValueError, LookupError) as error:
        raise typer.BadParameter(str(error), param_hint=option) from error


def _split(text: str) -> list[str]:
    """Return the words of a comma-separated list, each once, in order."""
    words = [word.strip() for word in text.split(",")]
    return [] if words == [NONE] else list(dict.fromkeys(words))


def _coders(
    names: Sequence[str],
    qualities: Sequence[float],
    rival_names: str,
    device: str,
) -> list[Coder]:
    """Return rivals, then models, having loaded every model."""
    with _naming("--rivals"):
        found = rivals.choose(_split(rival_names))
    with _naming("--model"):
        for name in names:
            coder = coders.ours(name, tuple(qualities), device)
            measure.fingerprint(coder)
            found.append(coder)
    if not found:
        raise typer.BadParameter("found none, and no rivals either", param_hint="--model")
    return found


def _anchors(text: str, found: Sequence[Coder]) -> list[str]:
    known = [coder.name for coder in found]
    anchors = _split(text)
    for name in anchors or [NONE]:
        if name not in known:
            allowed = f"allowed is what is measured: {', '.join(known)}"
            raise typer.BadParameter(f"found {name!r}, {allowed}", param_hint="--anchor")
    return anchors


def _measure_coder(
    coder: Coder,
    pictures: Sequence[measure.Picture],
    store: results.Store,
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
                if not warm:
                    measure.code(coder, quality, pixels, folder)
                    warm = True
                coded = measure.code(coder, quality, pixels, folder)
                row = measure.compare(picture, pixels, coder, version, quality, coded)
                if estimate and coder.device:
                    payload, bits = measure.estimate(pixels, coded.path, coder.device)
                    row = replace(row, payload_bytes=payload, estimated_bits=bits)
                store.add(row)
            rows.append(row)
    return rows


def _measure_all(
    found: Sequence[Coder],
    pictures: Sequence[measure.Picture],
    store: results.Store,
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
        store.save()


def _report(
    found: Sequence[Coder],
    rows: dict[str, list[measure.Row]],
    anchors: Sequence[str],
    store: results.Store,
) -> None:
    """Print tables, draw the plot and write what was found beside the rows."""
    from rich.console import Console

    curves = {name: results.curve(mine) for name, mine in rows.items()}
    summaries = results.summarise(rows, curves, anchors)
    console = Console(highlight=False)
    for coder in found:
        images = len(rows[coder.name]) // len(coder.qualities)
        version = store.versions[coder.name]
        console.print(tables.points(coder.name, version, images, curves[coder.name]))
    for anchor in anchors:
        console.print(tables.summary(summaries, anchor))
    store.save(
        summary=[asdict(each) for each in summaries],
        curves={name: [asdict(point) for point in points] for name, points in curves.items()},
        versions=store.versions,
        peak_memory=memory.peak_memory(),
    )
    picture = store.path.with_name("curves.png")
    plots.plot(curves, [coder.name for coder in found if coder.device is None], picture)
    console.print(f"{store.path}  {picture}", soft_wrap=True)


def _time_photo(
    path: Path,
    models: Sequence[str],
    qualities: Sequence[float],
    device: str,
    threads: int | None,
    out: Path,
) -> None:
    from rich.console import Console

    found = list(photo.time_photo(path, models, qualities, device, threads))
    if found:
        Console(highlight=False).print(tables.timings(path.name, found))
        rows = [each.as_dict() for each in found]
        files.write_text(out / "photo.json", json.dumps({"rows": rows}, indent=1) + "\n")


def command(
    out: Annotated[Path, typer.Option("--out", "-o", file_okay=False, help="Folder for results.")],
    folder: Annotated[
        Path | None,
        typer.Argument(exists=True, file_okay=False, help="Folder of pictures."),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option("--model", "-m", help=f"A model, may be repeated; elic; {NONE} for none."),
    ] = None,
    quality: Annotated[
        str | None,
        typer.Option("--quality", "-q", help="Qualities of the models, between commas; 5,10..100."),
    ] = None,
    rival: Annotated[
        str, typer.Option("--rivals", help=f"Formats of Pillow, between commas, or {NONE}.")
    ] = ",".join(coders.RIVALS),
    anchor: Annotated[
        str, typer.Option("--anchor", help="What BD-rates refer to, one or several.")
    ] = "jpeg",
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="Only the first pictures by name.")
    ] = None,
    threads: Annotated[
        int | None, typer.Option("--threads", min=1, help="For networks and AVIF.")
    ] = None,
    device: options.Device = "auto",
    estimate: Annotated[
        bool, typer.Option("--estimate", help="Compare the models' own estimate of bits too.")
    ] = False,
    time_photo: Annotated[
        Path | None,
        typer.Option(
            "--time-photo",
            exists=True,
            dir_okay=False,
            help="Time the models and take their memory on one photo (quality 75 unless given).",
        ),
    ] = None,
) -> None:
    """Measure rate, distortion and time over a folder of pictures.

    Writes results.json and curves.png; what is in results.json already is not measured again.
    """
    if folder is None and time_photo is None:
        raise typer.BadParameter("found neither a folder nor --time-photo", param_hint="FOLDER")
    with _naming("--quality"):
        qualities = options.quality_list(QUALITIES if quality is None else quality)
    models = [name for name in dict.fromkeys(model or ["elic"]) if name != NONE]
    failures = files.Failures()
    with failures.caught():
        out.mkdir(parents=True, exist_ok=True)
        if time_photo is not None:
            at = [PHOTO_QUALITY] if quality is None else qualities
            _time_photo(time_photo, models, at, device, threads, out)
        if folder is not None:
            metrics.check_extra()
            rivals.limit_threads(threads)
            found = _coders(models, qualities, rival, device)
            anchors = _anchors(anchor, found)
            pictures = measure.find(folder, limit)
            versions = {coder.name: measure.version(coder, threads) for coder in found}
            store = results.Store(out / "results.json", versions)
            rows = _measure_all(found, pictures, store, estimate)
            _report(found, rows, anchors, store)
    failures.exit()
