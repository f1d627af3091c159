"""Write `spec/vectors/` and `spec/example.md`. Run by hand, never by a test:

    python tests/make_vectors.py

A vector is a promise: run this when the format, a model or the weights of `tiny` have changed,
and say so in `spec/CHANGES.md`.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator
from pathlib import Path

import vector_dump
from PIL import Image
from vector_bad import Bad, bad
from vector_good import Good, good
from vector_read import latents_sha256, read

from pillow_lic import tensors
from pillow_lic.header import Header

SPEC = Path(__file__).parent.parent / "spec"
FOLDER = SPEC / "vectors"
HEAD = "# Made by tests/make_vectors.py; the keys are explained in ../README.md.\n"


def _table(values: dict[str, object]) -> str:
    return "\n".join(["[[vector]]", *(f"{k} = {json.dumps(v)}" for k, v in values.items())])


def _pixels(data: bytes, header: Header) -> Image.Image:
    if header.depth == 16:  # Pillow has grey only: the channels go one below another
        planes = tensors.read(io.BytesIO(data), device="cpu").numpy()
        return Image.fromarray(planes.reshape(-1, header.width))
    image = Image.open(io.BytesIO(data))
    image.load()
    return Image.frombytes(image.mode, image.size, image.tobytes())


def _good(vector: Good) -> dict[str, object]:
    header, frames = read(vector.data)
    timing = frames[0].timing
    _pixels(vector.data, header).save(FOLDER / f"{vector.name}.png")
    return {
        "expect": "ok",
        "model": header.model_name,
        "fingerprint": header.fingerprint.hex(),
        "width": header.width,
        "height": header.height,
        "mode": header.mode,
        "depth": header.depth,
        "level": header.level,
        "tile": header.tile,
        **(timing._asdict() if timing else {}),
        **{f"metadata.{t}": hashlib.sha256(d).hexdigest() for t, d in frames[0].metadata.items()},
        "latents_sha256": latents_sha256(header, frames),
        "pixels": f"{vector.name}.png",
        "max_error": 257 if header.depth == 16 else 1,
    }


def _tables() -> Iterator[str]:
    seen: set[str] = set()
    for vector in [*good(), *bad()]:
        assert vector.name not in seen, vector.name
        seen.add(vector.name)
        (FOLDER / f"{vector.name}.lic").write_bytes(vector.data)
        values: dict[str, object] = {
            "file": f"{vector.name}.lic",
            "comment": vector.comment,
            "sha256": hashlib.sha256(vector.data).hexdigest(),
        }
        if isinstance(vector, Bad):
            values |= {"expect": vector.error, "class": vector.reader}
        else:
            values |= _good(vector)
        yield _table(values)


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.iterdir():
        old.unlink()
    (FOLDER / "vectors.toml").write_text("\n\n".join([HEAD.strip(), *_tables()]) + "\n")
    example = (FOLDER / "example.lic").read_bytes()
    (SPEC / "example.md").write_text(vector_dump.text(example))


if __name__ == "__main__":
    main()
