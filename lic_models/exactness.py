"""Does a file coded on one machine decode on another? Ask every kind of machine this one can play.

    python -m lic_models.exactness photos/ --model elic --quality 50 --out exactness.json

A "machine" is a process with its own instruction set (oneDNN and ATen), thread count and memory
layout. Each codes every photo; each distinct stream is decoded by every machine. Latents must
have the same SHA-256 and pixels may differ by one level. The same is then done with the entropy
path in plain float arithmetic, as other learned codecs have it, to show what integers are for.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Annotated, Any
from unittest.mock import patch

import numpy as np
import torch
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor, nn

import lic_models

from . import contexts
from .codec import Codec, Coded
from .integer import IntConv2d, smooth_magnitude
from .photos import find, read
from .refusals import refusing
from .tunes import PLAIN, known

app = typer.Typer(add_completion=False, help=__doc__)

FLAT = "flat"  # folder of streams made by the float entropy path


@dataclass(frozen=True)
class Machine:
    """What a process is started with."""

    onednn: str  # ONEDNN_MAX_CPU_ISA
    aten: str  # ATEN_CPU_CAPABILITY, or "" for the best there is
    threads: int
    channels_last: bool

    @property
    def name(self) -> str:
        layout = "nhwc" if self.channels_last else "nchw"
        return f"{self.onednn}-{self.aten or 'best'}-{self.threads}-{layout}"

    def environment(self) -> dict[str, str]:
        extra = {"ONEDNN_MAX_CPU_ISA": self.onednn, "OMP_NUM_THREADS": str(self.threads)}
        if self.aten:
            extra["ATEN_CPU_CAPABILITY"] = self.aten
        return {**os.environ, **extra}


def machines() -> list[Machine]:
    """Every combination, the plain one first."""
    isas = ("DEFAULT", "SSE41", "AVX2", "AVX512_CORE")
    return [Machine(*m) for m in product(isas, ("", "default"), (1, 2), (True, False))]


@contextmanager
def float_path() -> Iterator[None]:
    """Run integer layers without their rounding: what a float entropy path computes."""

    def rough(self: IntConv2d, a: Tensor, level: int) -> Tensor:
        assert self.frozen is not None
        weight, _, shift = self.frozen
        # a scale that is no power of two rounds like any real-valued weight would
        odd = 1.1
        acc = nn.functional.conv2d(
            a, weight * odd, self._at_level(level) * odd, 1, self.kernel // 2
        )
        return (acc * (torch.exp2(-shift.float()) / odd)[None, :, None, None]).clamp(
            self.lo, self.hi
        )

    layers = patch.object(IntConv2d, "_exact", rough)
    sums = patch.object(contexts, "scatters", lambda layer: False)  # by whole layers
    with layers, sums, patch.object(contexts, "magnitude", smooth_magnitude):
        yield


def _set_layout(codec: Codec, channels_last: bool) -> None:
    layout = torch.channels_last if channels_last else torch.contiguous_format
    codec.model.to(memory_format=layout)  # type: ignore[call-overload]
    for module in codec.model.modules():
        if isinstance(module, (IntConv2d, nn.Conv2d, nn.ConvTranspose2d)):
            module.register_forward_pre_hook(
                lambda _, args: (args[0].contiguous(memory_format=layout), *args[1:])
            )


def digest(latents: dict[str, Tensor]) -> str:
    """SHA-256 of dequantised latents, int32 little-endian, in coding order."""
    sha = hashlib.sha256()
    for values in latents.values():
        sha.update(values.to(torch.int32).contiguous().numpy().astype("<i4").tobytes())
    return sha.hexdigest()


def _encode(codec: Codec, paths: list[Path], level: int, folder: Path, flat: bool) -> None:
    for i, path in enumerate(paths):
        pixels = read(path).permute(1, 2, 0).numpy()
        (payload,) = codec.encode_tiles(pixels, level, 0)
        (folder / f"{i}.bin").write_bytes(payload)
        if flat:
            with float_path():
                (payload,) = codec.encode_tiles(pixels, level, 0)
            (folder / FLAT / f"{i}.bin").write_bytes(payload)


def _decode(codec: Codec, streams: list[dict[str, Any]], level: int, folder: Path) -> None:
    """Decode distinct streams; leave hashes, pixels' distance and the float path's damage."""
    rows = []
    for stream in streams:
        data = Path(stream["path"]).read_bytes()
        coded = Coded([data], stream["width"], stream["height"], level, 0)
        row: dict[str, Any] = {"path": stream["path"]}
        if stream["flat"]:
            row.update(_float_damage(codec, coded, Path(stream["path"])))
        else:
            (latents,) = codec.decode_latents(coded)
            assert latents is not None
            row["sha256"] = digest(latents)
            if stream["pixels"]:
                row["levels"] = _pixel_distance(codec, coded, Path(stream["path"]))
        rows.append(row)
    (folder / "decoded.json").write_text(json.dumps(rows))


def _float_damage(codec: Codec, coded: Coded, path: Path) -> dict[str, Any]:
    reference = path.with_suffix(".npy")
    try:
        with float_path():
            (latents,) = codec.decode_latents(coded)
    except lic_models.errors.StreamError as error:
        return {"failed": str(error), "wrong": 1.0}
    assert latents is not None
    y = latents["y"].numpy()
    if not reference.exists():
        np.save(reference, y)
    return {"wrong": float((np.abs(np.load(reference) - y) > 0.5).mean())}


def _pixel_distance(codec: Codec, coded: Coded, path: Path) -> int:
    pixels = codec.decode_tiles(coded)
    reference = path.with_suffix(".pixels.npy")
    if not reference.exists():
        np.save(reference, pixels)
    return int(np.abs(np.load(reference).astype(int) - pixels).max())


def _child(task: dict[str, Any]) -> None:
    """Play one machine for one task (`encode` or `decode`), read from a JSON file."""
    machine = Machine(**task["machine"])
    torch.set_num_threads(machine.threads)
    codec = lic_models.load(task["model"], device="cpu", tune=task["tune"])
    _set_layout(codec, machine.channels_last)
    folder = Path(task["folder"])
    if task["do"] == "encode":
        flat = machine == machines()[0]  # one machine's float streams tell enough
        _encode(codec, [Path(p) for p in task["images"]], task["level"], folder, flat)
    else:
        _decode(codec, task["streams"], task["level"], folder)


def _start(machine: Machine, root: Path, **task: Any) -> Path:
    folder = root / machine.name
    (folder / FLAT).mkdir(parents=True, exist_ok=True)
    file = folder / f"{task['do']}.json"
    file.write_text(json.dumps({"machine": asdict(machine), "folder": str(folder), **task}))
    command = [sys.executable, "-m", "lic_models.exactness", "--task", str(file)]
    subprocess.run(command, env=machine.environment(), check=True)
    return folder


def _distinct(root: Path, paths: list[Path]) -> list[dict[str, Any]]:
    """One entry per different stream; pixels are compared on the plain machine's streams."""
    plain = machines()[0].name
    found: dict[str, dict[str, Any]] = {}
    for machine, (i, path) in product(machines(), enumerate(paths)):
        height, width = read(path).shape[1:]
        file = root / machine.name / f"{i}.bin"
        key = f"{i} " + hashlib.sha256(file.read_bytes()).hexdigest()
        size = {"width": int(width), "height": int(height)}
        here = machine.name == plain
        found.setdefault(key, {"path": str(file), "flat": False, "pixels": here, **size})
        if here:
            flat = root / machine.name / FLAT / f"{i}.bin"
            found[f"{key}-flat"] = {"path": str(flat), "flat": True, **size}
    return list(found.values())


def _summary(root: Path, count: int, streams: int) -> dict[str, Any]:
    rows = {m.name: json.loads((root / m.name / "decoded.json").read_text()) for m in machines()}
    hashes: dict[str, set[str]] = {}
    for row in (r for decoded in rows.values() for r in decoded if "sha256" in r):
        hashes.setdefault(row["path"], set()).add(row["sha256"])
    flat = {name: [r["wrong"] for r in decoded if "wrong" in r] for name, decoded in rows.items()}
    return {
        "images": count,
        "machines": len(rows),
        "distinct_streams": streams,
        "streams_with_different_latents": sum(len(h) > 1 for h in hashes.values()),
        "largest_pixel_distance": max(r.get("levels", 0) for d in rows.values() for r in d),
        "float_path_destroyed": {n: sum(w > 0.01 for w in wrong) for n, wrong in flat.items()},
        "float_path_worst_share_wrong": {n: max(wrong) for n, wrong in flat.items()},
    }


@app.command()
def main(
    folder: Annotated[Path | None, typer.Argument(help="Folder of photos.")] = None,
    model: Annotated[str, typer.Option(help="A registered model name.")] = "elic",
    tune: Annotated[str, typer.Option(help="Of the weights, psnr or ms-ssim.")] = PLAIN,
    quality: Annotated[float, typer.Option(help="1 to 100.")] = 50,
    limit: Annotated[int, typer.Option(min=1, help="Most photos to use.")] = 24,
    out: Annotated[Path | None, typer.Option(help="Where to write the figures as JSON.")] = None,
    task: Annotated[Path | None, typer.Option(hidden=True)] = None,
) -> None:
    """Code and decode photos on every kind of machine and compare."""
    if task is not None:
        _child(json.loads(task.read_text()))
        return
    if folder is None:
        raise typer.BadParameter("a folder of photos is needed")
    with refusing():
        known(tune)
        lic_models.model_name(model)
        level = lic_models.level_from_quality(quality)
        paths = find([folder])[:limit]
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        common: dict[str, Any] = {"model": model, "tune": tune, "level": level}
        for machine in track(machines(), "encode"):
            _start(machine, root, do="encode", images=[str(p) for p in paths], **common)
        streams = _distinct(root, paths)
        for machine in track(machines(), "decode"):
            _start(machine, root, do="decode", streams=streams, **common)
        summary = _summary(root, len(paths), sum(not s["flat"] for s in streams))
    table = Table("figure", "value")
    for key, value in summary.items():
        if not isinstance(value, dict):
            table.add_row(key.replace("_", " "), str(value))
    lost = list(summary["float_path_destroyed"].values())
    table.add_row("float path: machines that lose images", f"{sum(n > 0 for n in lost)}")
    table.add_row("float path: images lost, by machine", ", ".join(str(n) for n in lost))
    Console().print(table)
    if out is not None:
        out.write_text(
            json.dumps({"model": model, "tune": tune, "quality": quality, **summary}, indent=1)
        )
    if summary["streams_with_different_latents"] or summary["largest_pixel_distance"] > 1:
        raise typer.Exit(1)


if __name__ == "__main__":
    app()
