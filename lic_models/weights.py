"""Weights on disk: safetensors files named `<model>-<generation>-<fingerprint>.safetensors`.

Weights that were trained for a tune other than squared error have `<model>.<tune>` in that place.
Layers of the entropy path are stored as integers (weight int16, bias int32, shift uint8), the
transforms as float16, gains and level biases as float32. The fingerprint is the first 8 bytes of
the SHA-256 of the canonical weights: model name, configuration as sorted JSON, then for each
tensor in order of name: name, dtype, shape and little-endian bytes, each length-prefixed.
"""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from dataclasses import asdict
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from . import registry
from .atomic import replacing
from .base import Model
from .errors import WeightsError, WeightsNotFound
from .levels import ANCHORS
from .tunes import PLAIN

__all__ = [
    "Found",
    "export",
    "find",
    "fingerprint",
    "installed",
    "load",
    "shorten",
    "storable",
    "thaw",
]

FINGERPRINT = 8  # bytes
SEARCHED = "LIC_WEIGHTS_PATH"
PRECISE = (".log", ".rows")  # float parameters kept in float32
CARRYING = ".convs.", 4  # strided ones, whose rounding is in every pixel: digits they keep more
KINDS = {"weight": torch.int16, "bias": torch.int32, "shift": torch.uint8}
STORED = frozenset({torch.float16, torch.float32, *KINDS.values()})
CONFIG_MAX = 4096  # of a width or a count in a configuration
# The least, if not 1: bottlenecks have half a width, and contexts see more than one position.
CONFIG_MIN = {"M": 2, "widths": 2, "spatial": (3, 1), "head": (0, 1), "blocks": 0, "units": 0}
GROUPS = "groups"  # the one list in a configuration that is as long as it likes


class Found(NamedTuple):
    """A weights file: its model name, generation, fingerprint, path, and what it is for."""

    model: str
    generation: int
    fingerprint: bytes
    path: Path
    tune: str = PLAIN


def fingerprint(model: str, config: str, tensors: dict[str, Tensor]) -> bytes:
    """Return the first 8 bytes of the SHA-256 of canonical weights."""
    digest = hashlib.sha256()

    def add(data: bytes) -> None:
        digest.update(len(data).to_bytes(8, "little") + data)

    add(model.encode())
    add(config.encode())
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        add(name.encode())
        add(str(tensor.dtype).removeprefix("torch.").encode())
        add(",".join(str(n) for n in tensor.shape).encode())
        values = tensor.cpu().numpy()
        add(values.astype(values.dtype.newbyteorder("<"), copy=False).tobytes())
    return digest.digest()[:FINGERPRINT]


def folders() -> list[Path]:
    """Folders searched: those of LIC_WEIGHTS_PATH, then the package's own."""
    extra = [Path(p) for p in os.environ.get(SEARCHED, "").split(os.pathsep) if p]
    for folder in extra:
        if not folder.is_dir():  # a slip of the pen would code with other weights
            warnings.warn(f"{SEARCHED}: found no folder {str(folder)!r}", stacklevel=2)
    return [*extra, Path(str(resources.files(__package__).joinpath("weights")))]


def _parse(path: Path) -> Found | None:
    try:
        model, generation, digest = path.stem.rsplit("-", 2)
        model, _, tune = model.partition(".")
        found = Found(model, int(generation), bytes.fromhex(digest), path, tune or PLAIN)
    except ValueError:
        return None
    return found if len(found.fingerprint) == FINGERPRINT else None


def installed(model: str, *more: Path) -> list[Found]:
    """Return all weights of a model, in the order of the folders searched, `more` first."""
    pattern, places = f"{model}*.safetensors", [*more, *folders()]
    parsed = [_parse(path) for folder in places for path in sorted(folder.glob(pattern))]
    return [found for found in parsed if found is not None and found.model == model]


def find(model: str, wanted: bytes | None = None, tune: str = PLAIN) -> Found:
    """Return the weights with that fingerprint, or the newest generation for a tune.

    A model without weights for the tune has those for squared error. Raises WeightsNotFound naming
    model and fingerprint.
    """
    mine = installed(model)
    if wanted is not None:
        mine = [f for f in mine if f.fingerprint == wanted]
    else:
        tuned = [f for f in mine if f.tune == tune]
        mine = tuned or [f for f in mine if f.tune == PLAIN]
    if not mine:
        which = "" if wanted is None else f" with fingerprint {wanted.hex()}"
        searched = ", ".join(str(f) for f in folders())
        raise WeightsNotFound(f"model {model!r}: found no weights{which} in {searched}")
    return max(mine, key=lambda f: f.generation)


def _real(name: str) -> torch.dtype:
    """How a tensor of real numbers is stored."""
    return torch.float32 if name.endswith(PRECISE) else torch.float16


def canonical(model: Model) -> dict[str, Tensor]:
    """Return the tensors of a trained model as they are stored."""
    layers = model.integer_layers()
    tensors: dict[str, Tensor] = {}
    with torch.no_grad():
        for name, layer in layers.items():
            weight, bias, shift = layer.frozen or layer.rounded()
            layer.limits(weight, bias, shift)  # raises unless it can be computed exactly
            for (kind, dtype), value in zip(KINDS.items(), (weight, bias, shift), strict=True):
                tensors[f"{name}.{kind}"] = value.to(dtype)
    for name, value in model.state_dict().items():
        if name.rpartition(".")[0] not in layers:
            tensors[name] = value.detach().to(_real(name))
            if not tensors[name].isfinite().all():
                raise WeightsError(f"{name}: found no finite number, or one too large for its type")
    return {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}


@torch.no_grad()
def shorten(model: Model, bits: int) -> None:
    """Round what is stored as 16-bit floats to `bits` binary digits after the first, of 10.

    The file is as long as before, but packs better. Strided convolutions keep some more: with 5 of
    them cheng2020 would lose 0.6 dB at quality 100, where 4 of all others cost 0.02 dB.
    """
    exact = tuple(f"{name}." for name in model.integer_layers())
    strided, more = CARRYING
    for name, parameter in model.named_parameters():
        if not name.startswith(exact) and not name.endswith(PRECISE):
            mantissa, exponent = torch.frexp(parameter)
            digits = 2.0 ** (bits + 1 + (more if strided in name else 0))
            parameter.copy_(torch.ldexp((mantissa * digits).round() / digits, exponent))


def export(
    model: Model, folder: Path, *, generation: int, notes: dict[str, str], tune: str = PLAIN
) -> Found:
    """Write a trained model's weights; `notes` go into the file's metadata.

    Raises WeightsError for what could not be loaded again.
    """
    config = storable(model)
    tensors = canonical(model)
    digest = fingerprint(model.name, config, tensors)
    folder.mkdir(parents=True, exist_ok=True)
    name = model.name if tune == PLAIN else f"{model.name}.{tune}"
    path = folder / f"{name}-{generation}-{digest.hex()}.safetensors"
    with replacing(path) as part:  # half a file would be the newest generation
        save_file(tensors, part, {"model": model.name, "config": config, **notes})
        part.chmod(0o644)
    return Found(model.name, generation, digest, path, tune)


def storable(model: Model) -> str:
    """Return the configuration as files have it; WeightsError if none may hold such a model."""
    try:
        text = json.dumps(model.config_dict(), sort_keys=True)
        _config(text, type(model))
    except (TypeError, ValueError) as error:
        raise WeightsError(f"config: {error}") from error
    _local(model)
    return text


def _config(text: str, cls: type[Model]) -> Any:
    """Return the configuration in a file; raises ValueError or TypeError."""
    values = json.loads(text)
    if not isinstance(values, dict):
        raise ValueError(f"found {text[:40]!r}, allowed is an object")
    shipped = asdict(cls.configs["shipped"])
    if values.keys() != shipped.keys():  # none comes from this release: others may differ there
        odd = sorted(values.keys() ^ shipped.keys())[:4]
        raise ValueError(f"keys: found others than the model has, such as {odd}")
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
    for key, value in values.items():
        many = isinstance(shipped[key], tuple)
        if isinstance(value, tuple) != many:
            kind = "a list of numbers" if many else "a number"
            raise ValueError(f"{key}: found {value!r}, allowed is {kind}")
        numbers = value if many else (value,)
        if many and key != GROUPS and len(value) != len(shipped[key]):
            allowed = len(shipped[key])
            raise ValueError(f"{key}: found {len(value)} numbers, allowed are {allowed}")
        least = CONFIG_MIN.get(key, 1)
        bounds = least if isinstance(least, tuple) else (least,) * len(numbers)
        for number, bound in zip(numbers, bounds, strict=True):
            if type(number) is not int or not bound <= number <= CONFIG_MAX:
                whole = f"a whole number from {bound} to {CONFIG_MAX}"
                raise ValueError(f"{key}: found {number!r}, allowed is {whole}")
    return cls.configure(**values)


def _expected(model: Model) -> dict[str, tuple[int, ...]]:
    """The shape of each tensor that a model's file has."""
    layers = model.integer_layers()
    shapes = {
        name: tuple(t.shape)
        for name, t in model.state_dict().items()
        if name.rpartition(".")[0] not in layers
    }
    for name, layer in layers.items():
        outputs = layer.weight.shape[0]
        shapes[f"{name}.weight"] = tuple(layer.weight.shape)
        shapes[f"{name}.bias"] = ANCHORS, outputs
        shapes[f"{name}.shift"] = (outputs,)
    return shapes


def _local(model: Model) -> None:
    """Raise WeightsError if the synthesis sees too far: regions and blocks would differ."""
    if model.reach > model.halo:
        found = f"found a reach of {model.reach}"
        raise WeightsError(f"config: {found}, allowed is the halo of its class, {model.halo}")


def _check(model: Model, found: dict[str, tuple[int, ...]]) -> None:
    """Raise WeightsError unless these are the shapes of the model's tensors."""
    expected = _expected(model)
    if set(found) != set(expected):
        odd = sorted(set(found) ^ set(expected))[:4]
        raise WeightsError(f"tensors: found a different set than the model has, such as {odd}")
    for name, shape in found.items():
        if shape != expected[name]:
            raise WeightsError(f"{name}: found shape {shape}, allowed is {expected[name]}")


def _read(found: Found) -> tuple[Model, dict[str, Tensor]]:
    """Build the model a file describes; returns it empty, with the file's tensors."""
    try:
        # whatever device is a caller's default: older releases of safetensors heed that
        with torch.device("cpu"), safe_open(found.path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{found.path}: {error}") from error
    for name, tensor in tensors.items():
        if tensor.dtype not in STORED:  # NumPy, which the fingerprint needs, lacks some types
            allowed = ", ".join(sorted(map(str, STORED)))
            raise WeightsError(f"{name}: found {tensor.dtype}, allowed are {allowed}")
    config = metadata.get("config", "")
    if metadata.get("model") != found.model:
        inside = metadata.get("model")
        raise WeightsError(f"{found.path}: model: found {inside!r}, allowed is {found.model!r}")
    digest = fingerprint(found.model, config, tensors)
    if digest != found.fingerprint:
        allowed = f"allowed is that of its name, {found.fingerprint.hex()}"
        raise WeightsError(f"{found.path}: fingerprint: found {digest.hex()}, {allowed}")
    cls = registry.lookup(found.model)
    try:
        configuration = _config(config, cls)
        with torch.device("meta"):  # shapes alone: a claimed width costs no memory yet
            outline = cls(configuration)
    except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise WeightsError(f"{found.path}: config: {error}") from error
    _local(outline)
    _check(outline, {name: tuple(tensor.shape) for name, tensor in tensors.items()})
    # a caller's defaults may be others, and its random numbers are its own
    with torch.device("cpu"), torch.random.fork_rng(devices=[]):
        model = cls(configuration).float()
    return model, tensors


def load(found: Found, device: torch.device) -> Model:
    """Build the model and fill it; raises WeightsError unless every tensor is as expected."""
    model, tensors = _read(found)
    return fill(model.to(device), tensors)


@torch.no_grad()
def thaw(path: Path) -> dict[str, Tensor]:
    """Return a state to train on from, out of a weights file; integers become real values again.

    For a model that is made anew: `model.load_state_dict(thaw(find("elic").path))`.
    """
    found = _parse(path)
    if found is None:
        raise WeightsError(f"{path}: found no <model>-<generation>-<fingerprint> in its name")
    model, tensors = _read(found)
    return fill(model, tensors).state_dict()


def fill(model: Model, tensors: dict[str, Tensor]) -> Model:
    """Put stored tensors into a model and freeze it for coding."""
    layers = model.integer_layers()
    rest = {n: t.float() for n, t in tensors.items() if n.rpartition(".")[0] not in layers}
    dtypes = {f"{name}.{kind}": dtype for name in layers for kind, dtype in KINDS.items()}
    for name, tensor in tensors.items():
        dtype = dtypes.get(name) or _real(name)
        if tensor.dtype != dtype:
            raise WeightsError(f"{name}: found {tensor.dtype}, allowed is {dtype}")
        if dtype.is_floating_point and not tensor.isfinite().all():
            raise WeightsError(f"{name}: found infinite or no numbers")
    for name, layer in layers.items():
        layer.freeze(*(tensors[f"{name}.{kind}"] for kind in KINDS))
    model.load_state_dict(rest, strict=False)
    model.eval().requires_grad_(False)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model
