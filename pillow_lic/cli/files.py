"""What commands read, and where and how they write: whole files or none."""

from __future__ import annotations

import os
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import typer
from PIL import Image

from lic_models.atomic import replacing
from lic_models.folders import inside

from .failures import Failures

__all__ = [
    "atomic",
    "check_suffix",
    "expanded",
    "pairs",
    "pictures",
    "write_text",
]

LIC = ".lic"


def pictures() -> frozenset[str]:
    """Return the suffixes of what can be encoded: of what Pillow reads, all but `.lic`."""
    known = Image.registered_extensions().items()
    return frozenset(suffix for suffix, format_ in known if format_ in Image.OPEN) - {LIC}


def check_suffix(suffix: str, given: object, option: str) -> None:
    """Raise BadParameter, about what was given for an option, unless Pillow writes such files."""
    format_ = Image.registered_extensions().get(suffix.lower())
    if format_ not in Image.SAVE or format_ == "LIC":  # `encode` and `transcode` make those
        allowed = "allowed is the suffix of a format that Pillow writes, other than LIC"
        raise typer.BadParameter(f"found {given}, {allowed}", param_hint=option)


def expanded(
    failures: Failures,
    sources: Sequence[Path],
    suffixes: Container[str] = (LIC,),
    *,
    recursive: bool,
) -> dict[Path, Path]:
    """Return the sources, for a folder the files in it (or also below) of these suffixes.

    Each comes once and with its name, or its place in the folder.
    """
    found: dict[Path, Path] = {}
    for source in sources:
        with failures.caught(source):
            if not source.is_dir():
                found.setdefault(source, Path(source.name))
                continue
            before = failures.count
            there = inside(source, suffixes, below=recursive, unread=failures.add)
            if not there and failures.count == before:
                raise OSError(f"{source}: found none of the files that can be read in this folder")
            for path in there:
                found.setdefault(path, path.relative_to(source))
    return found


def pairs(
    failures: Failures,
    sources: Mapping[Path, Path],
    out: Path | None,
    suffix: str,
    *,
    skip_existing: bool,
) -> list[tuple[Path, Path]]:
    """Return pairs of source, as `expanded` finds them, and target.

    Of sources that would share a place the first gets it, the others are failures. Raises
    BadParameter as `_targets` does.
    """
    taken: dict[Path, Path] = {}
    found: list[tuple[Path, Path]] = []
    skipped = 0
    for source, target in zip(sources, _targets(sources, out, suffix), strict=True):
        if skip_existing and source == target:
            skipped += 1
        elif target in taken:
            failures.add(f"{taken[target]} and {source} would both become {target}")
        elif skip_existing and os.path.exists(target):  # False, too, where nobody can say
            taken[target] = source
            skipped += 1
        elif target != source and target in sources:
            failures.add(f"{source} would replace {target}, which is to be read")
        else:
            taken[target] = source
            found.append((source, target))
    if skipped:
        typer.echo(f"lic: skipped {skipped} that exist", err=True)
    return found


@contextmanager
def atomic(target: Path, overwrite: bool) -> Iterator[Path]:
    """Yield a path to write to instead of `target`, as `replacing`, unless that is refused.

    Its folder is made if there is none.
    """
    with suppress(OSError):  # what comes next says that there is still none
        target.parent.mkdir(parents=True, exist_ok=True)
    refuse_existing(target, overwrite)
    with replacing(target) as path:
        yield path


def refuse_existing(target: Path, overwrite: bool) -> None:
    """Raise FileExistsError if the target may not be replaced, before the long work."""
    if target.is_dir():
        raise IsADirectoryError(f"{target}: found a directory, allowed is a file")
    if target.exists() and not target.is_file():  # /dev/null, say
        raise FileExistsError(f"{target}: found a device or pipe, allowed is a file")
    folder = Path(os.path.realpath(target)).parent  # where a link leads
    if not (folder.is_dir() and os.access(folder, os.W_OK)):
        raise PermissionError(f"{folder}: found no folder that can be written to")
    if os.path.lexists(target) and not overwrite:  # a link that leads nowhere is something, too
        raise FileExistsError(f"{target}: exists; pass --overwrite to replace it")


def write_text(target: Path, text: str) -> None:
    """Replace a file of our own by this text."""
    with atomic(target, overwrite=True) as path:
        path.write_text(text, encoding="utf-8")


def _targets(sources: Mapping[Path, Path], out: Path | None, suffix: str) -> list[Path]:
    """Return where each source's result goes; BadParameter if there is no such place.

    `out` is a directory if it is one, has no suffix, or serves several sources and has no suffix
    of pictures; else a file, whose suffix must be that of what it will hold. In a directory results
    stand as their sources do in theirs. Without `out` they go beside their sources.
    """
    if out is None or not sources:
        return [source.with_suffix(suffix) for source in sources]
    several = len(sources) > 1
    exists = os.path.exists(out)  # like `isdir`, False where nobody can say
    if os.path.isdir(out) or (
        not exists
        and (several or not out.suffix)
        and out.suffix.lower() not in Image.registered_extensions()
    ):
        return [out / place.with_suffix(suffix) for place in sources.values()]
    if several:
        text = f"found {out}, allowed for several inputs is a directory"
        raise typer.BadParameter(text, param_hint="--out")
    if not exists or os.path.isfile(out):  # no device, say, which is refused as what it is
        if suffix != LIC:
            check_suffix(out.suffix, out, "--out")
        elif out.suffix.lower() != LIC:
            text = f"found {out}, allowed is a name that ends in {LIC}"
            raise typer.BadParameter(text, param_hint="--out")
    return [out]
