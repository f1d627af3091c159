"""python -m reference FILE... (in spec/), or python spec/reference FILE..."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

if not __package__:  # started by its path: only the folder itself is on sys.path
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from reference.decoder import decode
from reference.errors import LicError

WEIGHTS = Path(__file__).resolve().parent.parent.parent / "lic_models" / "weights"


def main() -> int:
    parser = argparse.ArgumentParser("reference", description="Decode .lic files to latents.")
    parser.add_argument("file", nargs="+", type=Path)
    parser.add_argument("--weights", type=Path, default=WEIGHTS, help="folder of weights files")
    parser.add_argument(
        "--strict", action="store_true", help="reject payloads that no writer writes"
    )
    arguments = parser.parse_args()
    status = 0
    for path in arguments.file:
        try:
            decoded = decode(path, arguments.weights, arguments.strict)
        except LicError as error:
            print(f"{path}: {type(error).__name__}: {error}", file=sys.stderr)
            status = 1
        else:
            print(f"{decoded.latents_sha256}  {path}")
    return status


if __name__ == "__main__":
    sys.exit(main())
