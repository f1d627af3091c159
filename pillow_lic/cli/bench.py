"""`lic bench`: rate, distortion and time of our models and of other formats in Pillow."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from lic_models.tunes import PLAIN

from ..header import MODEL_DEFAULT, QUALITY_DEFAULT
from . import (
    coders,
    files,
    lists,
    measure,
    memory,
    metrics,
    options,
    photo,
    plots,
    results,
    rivals,
    sweep,
    tables,
)
from .coders import Coder
from .failures import Failures, missing_extra

__all__ = ["command"]

QUALITIES = ",".join(str(quality) for quality in range(5, 101, 5))
RIVALS = ",".join(rivals.OWN)
NONE = "none"

_Folder = Annotated[
    Path | None, typer.Argument(exists=True, file_okay=False, help="Folder of pictures.")
]
_Models = Annotated[
    list[str] | None,
    typer.Option(
        "--model", "-m", help=f"A model, may be repeated, or {NONE}.", show_default=MODEL_DEFAULT
    ),
]
_Qualities = Annotated[
    str | None,
    typer.Option(
        "--quality", "-q", help="Of the models, between commas.", show_default="5,10,...,100"
    ),
]
_Rivals = Annotated[
    str,
    typer.Option("--rivals", help=f"Of {', '.join(coders.RIVALS)}, between commas, or {NONE}."),
]
_Anchor = Annotated[
    str | None,
    typer.Option(
        "--anchor",
        help="What BD-rates refer to; several between commas.",
        show_default="jpeg, or else the first coder",
    ),
]
_Threads = Annotated[int | None, typer.Option("--threads", min=1, help="For networks and AVIF.")]
_Estimate = Annotated[
    bool, typer.Option("--estimate", help="Compare the models' own estimate of bits too.")
]
_Curves = Annotated[
    Path | None,
    typer.Option(
        "--curves",
        exists=True,
        dir_okay=False,
        # No square brackets, which rich takes for markup.
        help="JSON of curves measured elsewhere, by name lists of lists of bpp, PSNR and MS-SSIM; "
        "those that --anchor names, and that are not measured here, are compared and drawn.",
    ),
]
_Efforts = Annotated[
    str, typer.Option("--effort", help="Of the models' encoders, 0 to 9, between commas.")
]
_Tunes = Annotated[
    str, typer.Option("--tune", help="What encoders serve: psnr, ms-ssim, or both with a comma.")
]
_Rates = Annotated[
    str | None,
    typer.Option("--target-bpp", help="Measure rate control too, at these rates, between commas."),
]
_Photo = Annotated[
    Path | None,
    typer.Option(
        "--time-photo",
        exists=True,
        dir_okay=False,
        help="Take time and memory on one photo, at effort 0, at quality 75 unless given.",
    ),
]


def _names(text: str) -> list[str]:
    """Return the words of a comma-separated list, which may be empty."""
    return [] if text.strip() == NONE else lists.words(text)


def _encoders(model: str, efforts: Sequence[int], tunes: Sequence[str]) -> list[tuple[int, str]]:
    """Return pairs of effort and tune; without effort only those that the model has weights for."""
    import lic_models

    weights = lic_models.tuned(model)
    found = [(e, tune) for tune in tunes for e in efforts if e or tune in weights]
    for tune in set(tunes) - {served for _, served in found}:
        known = f"{model} has weights for: {', '.join(weights) or 'none'}"
        raise ValueError(f"found {tune!r}, allowed with effort 0 is what {known}")
    return found


def _coders(
    names: Sequence[str],
    qualities: Sequence[float],
    rival_names: str,
    efforts: Sequence[int],
    tunes: Sequence[str],
    rates: Sequence[float],
    device: str,
) -> list[Coder]:
    """Return rivals, then models, having loaded every model."""
    import lic_models

    with options.naming("--rivals"):
        found = rivals.choose(_names(rival_names))
    with options.naming("--model"):
        known = [lic_models.model_name(name) for name in names]
    with options.naming("--tune"):
        encoders = {name: _encoders(name, efforts, tunes) for name in known}
    with options.naming("--model"):
        for name in known:
            for effort, tune in encoders[name]:
                coder = coders.ours(name, tuple(qualities), device, effort, tune)
                measure.fingerprint(coder)
                found.append(coder)
                if rates:
                    found.append(coders.searching(coder, "target_bpp", tuple(rates)))
    if not found:
        raise typer.BadParameter("found none, and no rivals either", param_hint="--model")
    return found


def _anchors(text: str | None, known: Sequence[str]) -> list[str]:
    """Return what was asked for, which must be known; else JPEG, or the first that is known."""
    if text is None:
        return ["jpeg" if "jpeg" in known else known[0]]
    anchors = _names(text)
    for name in anchors or [NONE]:
        if name not in known:
            allowed = f"allowed is what is measured: {', '.join(known)}"
            raise typer.BadParameter(f"found {name!r}, {allowed}", param_hint="--anchor")
    return anchors


def _report(
    found: Sequence[Coder],
    rows: dict[str, list[measure.Row]],
    published: dict[str, list[results.Point]],
    anchors: Sequence[str],
    store: results.Store,
) -> None:
    """Print tables, draw the plot and write what was found beside the rows.

    `published` curves are for comparison.
    """
    from rich.console import Console

    curves = {name: results.curve(mine) for name, mine in rows.items()}
    every = {**curves, **published}
    summaries = results.summarise(rows, every, anchors)
    console = Console(highlight=False, emoji=False)
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
    ours = [coder.name for coder in found if coder.device]
    with files.atomic(picture, overwrite=True) as path:
        plots.plot(every, [name for name in every if name not in ours], path)
    console.print(f"{store.path}  {picture}", markup=False, soft_wrap=True)


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
        Console(highlight=False, emoji=False).print(tables.timings(path.name, found))
        rows = [each.as_dict() for each in found]
        files.write_text(out / "photo.json", json.dumps({"rows": rows}, indent=1) + "\n")


def command(
    out: options.Out,
    folder: _Folder = None,
    model: _Models = None,
    quality: _Qualities = None,
    effort: _Efforts = "0",
    tune: _Tunes = PLAIN,
    target_bpp: _Rates = None,
    rival: _Rivals = RIVALS,
    anchor: _Anchor = None,
    curves: _Curves = None,
    limit: options.Limit = None,
    threads: _Threads = None,
    device: options.Device = "auto",
    estimate: _Estimate = False,
    time_photo: _Photo = None,
) -> None:
    """Measure rate, distortion and time over a folder of pictures.

    Writes results.json and curves.png; what is in results.json already is not measured again.
    """
    if folder is None and time_photo is None:
        raise typer.BadParameter("found neither a folder nor --time-photo", param_hint="FOLDER")
    with options.naming("--quality"):
        qualities = lists.qualities(QUALITIES if quality is None else quality)
    with options.naming("--effort"):
        efforts = lists.efforts(effort)
    with options.naming("--tune"):
        tunes = lists.tunes(tune)
    with options.naming("--target-bpp"):
        rates = lists.rates(target_bpp) if target_bpp else []
    if estimate and any(efforts):
        raise typer.BadParameter(
            "found both, and the estimate is of effort 0", param_hint="--estimate, --effort"
        )
    models = [name for name in dict.fromkeys(model or [MODEL_DEFAULT]) if name != NONE]
    failures = Failures()
    with failures.caught(), missing_extra():
        out.mkdir(parents=True, exist_ok=True)
        if time_photo is not None:
            at = [float(QUALITY_DEFAULT)] if quality is None else qualities
            _time_photo(time_photo, models, at, device, threads, out)
        if folder is not None:
            metrics.check_extra()
            rivals.limit_threads(threads)
            found = _coders(models, qualities, rival, efforts, tunes, rates, device)
            with options.naming("--curves"):
                published = results.published(curves) if curves else {}
            measured = [coder.name for coder in found]
            anchors = _anchors(anchor, [*measured, *published])
            elsewhere = [name for name in anchors if name not in measured]
            published = {name: published[name] for name in elsewhere}
            pictures = measure.find(folder, limit)
            versions = {coder.name: measure.version(coder, threads) for coder in found}
            store = results.Store(out / "results.json", versions)
            rows = sweep.measure_all(found, pictures, store, estimate)
            _report(found, rows, published, anchors, store)
    failures.exit()
