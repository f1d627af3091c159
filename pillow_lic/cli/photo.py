"""Time and memory for one photo, each way in a process of its own, so that peaks do not mix.

Such a process runs `main`: a task as JSON in, one line of JSON out.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .memory import peak_memory
from .rivals import limit_threads

__all__ = ["Timing", "main", "time_photo"]

RUNS = 5


@dataclass(frozen=True)
class Timing:
    """What one photo takes: medians in seconds after a warm-up, memory in bytes."""

    model: str
    quality: float
    megapixels: float
    file_bytes: int
    encode_s: float
    decode_s: float
    encode_memory: int | None
    decode_memory: int | None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def time_photo(
    photo: Path, models: Sequence[str], qualities: Sequence[float], device: str, threads: int | None
) -> Iterator[Timing]:
    """Yield what each model takes at each quality."""
    from PIL import Image

    with Image.open(photo) as image:
        pixels = image.width * image.height
    with tempfile.TemporaryDirectory() as folder:
        for model in models:
            for quality in qualities:
                coded = Path(folder, f"{model}.lic")
                common = {"coded": str(coded), "device": device, "threads": threads}
                given = {"photo": str(photo), "model": model, "quality": quality}
                encode = _child({**common, **given})
                decode = _child(common)
                seconds = encode["seconds"], decode["seconds"]
                memory = encode["memory"], decode["memory"]
                size = coded.stat().st_size
                yield Timing(model, quality, pixels / 1e6, size, *seconds, *memory)


def _child(task: dict[str, Any]) -> dict[str, Any]:
    """Run a task in a fresh process; ChildProcessError with its last line if that fails."""
    code = "from pillow_lic.cli import photo; photo.main()"
    command = [sys.executable, "-c", code, json.dumps(task)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        raise ChildProcessError(f"timing failed: {last}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _run(task: dict[str, Any]) -> dict[str, Any]:
    """Encode or decode as a task says, and return the median of seconds, and peak memory."""
    from PIL import Image

    import pillow_lic

    limit_threads(task["threads"])
    coded, device = task["coded"], task["device"]
    if "photo" in task:
        with Image.open(task["photo"]) as opened:
            image = opened.convert("RGB")

    seconds = []
    for _ in range(1 + RUNS):
        start = time.perf_counter()
        if "photo" in task:
            image.save(coded, "LIC", model=task["model"], quality=task["quality"], device=device)
        else:
            with pillow_lic.open(coded, device=device) as decoded:
                decoded.load()
        seconds.append(time.perf_counter() - start)
    return {"seconds": statistics.median(seconds[1:]), "memory": peak_memory()}


def main() -> None:
    """Do the task in the first argument."""
    print(json.dumps(_run(json.loads(sys.argv[1]))))
