"""Where commands write, and how: whole files or none, and errors in one line."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import typer
from PIL import ExifTags, Image

from lic_models.atomic import replacing
from lic_models.folders import inside

__all__ = [
    "Failures",
    "atomic",
    "check_suffix",
    "expanded",
    "expected",
    "missing_extra",
    "orientation",
    "pairs",
    "pictures",
    "tiles",
    "upright",
    "write_text",
]

LIC = ".lic"
TILES_SHOWN = 4  # an image of fewer is done before a bar would help

# What Pillow's plugins let through, each in its own way, for damaged pictures.
_DAMAGE = (SyntaxError, RuntimeError, EOFError, LookupError, TypeError, struct.error, zlib.error)


_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class Failures:
    """Counts what went wrong, so that one bad file does not keep a command from the others."""

    def __init__(self) -> None:
        self.count = 0

    @contextmanager
    def caught(self, about: object = "") -> Iterator[None]:
        """Report an expected error on stderr and go on; anything else is a bug and escapes."""
        from lic_models.errors import WeightsNotFound

        try:
            yield
        except BrokenPipeError:  # of stdout: no fault of what it is about
            raise
        except (
            OSError,
            ValueError,
            MemoryError,
            WeightsNotFound,
            Image.DecompressionBombError,
        ) as e:
            text = str(e) or type(e).__name__
            known = text.startswith(f"{about}: ") or repr(str(about)) in text
            self.add(text if known or not about else f"{about}: {text}")

    def add(self, text: object) -> None:
        """Report a failure, by a text or as an error words it."""
        self.count += 1
        typer.echo(f"lic: {text}", err=True)

    def exit(self) -> None:
        """End the command with status 1 if anything failed."""
        if self.count:
            raise typer.Exit(1)


@contextmanager
def expected(path: Path, done: str) -> Iterator[None]:
    """Turn what plugins of other formats raise for damage, in metadata as well, into OSError."""
    try:
        yield
    except _DAMAGE as error:
        raise OSError(f"{path}: cannot be {done}: {error}") from error


def orientation(image: Image.Image) -> int:
    """Return how an image is to be turned, as EXIF counts; 1, not at all, if EXIF is malformed."""
    try:
        found = image.getexif().get(ExifTags.Base.Orientation, 1)
    except (*_DAMAGE, OSError, ValueError):
        return 1
    return found if isinstance(found, int) and 1 <= found <= 8 else 1


def upright(image: Image.Image) -> Image.Image:
    """Return an image turned as EXIF or XMP say, and without them; itself if it is as it should be.

    Unlike Pillow's `exif_transpose` this writes no EXIF, which malformed tags make impossible.
    """
    method = _TURNS.get(orientation(image))
    if method is None:
        return image
    turned = image.transpose(method)
    for name in ("exif", "xmp", "XML:com.adobe.xmp"):
        turned.info.pop(name, None)
    return turned


@contextmanager
def missing_extra() -> Iterator[None]:
    """Turn the lack of a package into an expected failure."""
    try:
        yield
    except ImportError as error:
        raise OSError(str(error)) from error


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
    recursive: bool = False,
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
    skip_existing: bool = False,
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
def tiles(
    total: int, doing: str, alone: bool, searching: bool = False
) -> Iterator[Callable[[], object] | None]:
    """Show a bar on stderr for an image of several tiles; yields what to call after each.

    Not if the image is not `alone`: then there is one of files. Who is `searching` goes through all
    tiles nobody knows how often: the bar then only moves.
    """
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import Progress

    console = Console(stderr=True)
    if not alone or total < TILES_SHOWN or not console.is_terminal:
        yield None
        return
    with Progress(console=console, transient=True) as bar:
        task = bar.add_task(escape(doing), total=None if searching else total)
        yield lambda: bar.advance(task)


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
    if target.exists() and not overwrite:
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
