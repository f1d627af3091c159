"""`lic info`: what a header says, and where a file's bytes went. Needs neither torch nor NumPy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from .. import container
from ..errors import LicError
from ..header import CRC, VERSION, pack_varint
from . import files, lines, options
from .failures import Failures

__all__ = ["command", "report"]

_NAMES = {"A": "alpha", "F": "times", "T": "tiles", **container.ANCILLARY}


def _framing(data: bytes) -> int:
    """Return what a part costs beside its data: tag, length and checksum."""
    return 1 + len(pack_varint(len(data))) + CRC.size


def _spent(frames: list[container.Parts]) -> list[dict[str, Any]]:
    """Return one row per tag, in file order."""
    first = frames[0]
    found = {tag: [data] for tag, data in first.metadata.items()}
    if first.timing:
        found["F"] = [first.timing.pack()]
    found["A"] = [frame.alpha for frame in frames if frame.alpha is not None]
    found["T"] = [tile for frame in frames for tile in frame.tiles if tile is not None]
    return [
        {
            "part": _NAMES[tag],
            "tag": tag,
            "count": len(each),
            "data_bytes": sum(map(len, each)),
            "bytes": sum(len(data) + _framing(data) for data in each),
        }
        for tag, each in found.items()
        if each
    ]


def report(path: Path) -> dict[str, Any]:
    """Return everything that can be known of a file without running a network.

    Damage after the header is described under "problem"; a bad header raises LicError.
    """
    problem = None
    size = path.stat().st_size
    with path.open("rb") as fp:
        header = container.read_header(fp)
        start = fp.tell()
        try:
            frames = list(container.read_frames(fp, header))
        except LicError as error:
            problem = str(error)
            frames = [container.Parts({}, None, [])]
    rows: list[dict[str, Any]] = [
        {"part": "header", "tag": None, "count": 1, "data_bytes": start, "bytes": start}
    ]
    rows += _spent(frames)
    timing = frames[0].timing
    if rest := size - sum(row["bytes"] for row in rows):
        name = "unreadable" if problem else "unknown parts"
        rows.append({"part": name, "tag": None, "count": None, "data_bytes": rest, "bytes": rest})
    content = sum(row["data_bytes"] for row in rows[1:])
    return {
        "file": str(path),
        "bytes": size,
        "bpp": 8 * size / (len(frames) * header.width * header.height),
        "version": VERSION,
        "width": header.width,
        "height": header.height,
        "mode": header.mode,
        "bit_depth": header.depth,
        "frames": len(frames),
        "loop": timing.loop if timing else None,
        "durations_ms": list(timing.durations) if timing else None,
        "model": header.model_name,
        "model_id": header.model,
        "fingerprint": header.fingerprint.hex(),
        "quality": header.level / 100,
        "tile": header.tile,
        "tiles": header.tiles,
        "overhead_bytes": size - content,
        "parts": rows,
        "problem": problem,
    }


def _show(found: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    cut = f"{found['tiles']} of {found['tile']} x {found['tile']}" if found["tile"] else "one"
    shown = {
        "size": f"{found['width']} x {found['height']} {found['mode']}, {found['bit_depth']} bits",
        "model": f"{found['model']} (id {found['model_id']}), weights {found['fingerprint']}",
        "quality": f"{found['quality']:g}",
        "tiles": cut,
        "bytes": f"{found['bytes']:,} ({found['bpp']:.3f} bits per pixel)",
        "overhead": f"{found['overhead_bytes']} bytes of container",
    }
    if times := found["durations_ms"]:
        lasts = f"{min(times)}" if len(set(times)) == 1 else f"{min(times)} to {max(times)}"
        often = f"{found['loop']} times" if found["loop"] else "for ever"
        shown["frames"] = f"{found['frames']}, {lasts} ms each, played {often}"
    console = Console(highlight=False, emoji=False)
    console.print(lines.printable(found["file"]), markup=False, soft_wrap=True)
    for name, value in shown.items():
        console.print(f"  {name:9} {value}", markup=False, soft_wrap=True)
    table = Table("part", "tag")
    for title in ("count", "bytes", "share"):
        table.add_column(title, justify="right")
    for row in found["parts"]:
        share = f"{100 * row['bytes'] / found['bytes']:.1f} %"
        count = "" if row["count"] is None else str(row["count"])
        table.add_row(row["part"], row["tag"] or "", count, f"{row['bytes']:,}", share)
    console.print(table)


def command(
    inputs: options.Files,
    recursive: options.Recursive = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON: a list with one object per readable header.")
    ] = False,
) -> None:
    """Show what .lic files say of themselves and where their bytes went."""
    failures = Failures()
    sources = files.expanded(failures, inputs, recursive=recursive)
    reports: list[dict[str, Any]] = []
    for source in sources:
        found = None
        with failures.caught(source):
            found = report(source)
        if found is None:
            continue
        reports.append(found)
        if not as_json:
            _show(found)
        if found["problem"]:
            failures.add(f"{source}: {found['problem']}")
    if as_json:
        typer.echo(json.dumps(reports, indent=2))
    failures.exit()
