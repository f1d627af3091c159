"""models.md, section 3: weights files and fingerprints."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import UnknownModelError, WeightsNotFoundError
from .layers import Layer
from .steps import MODELS

NAMES = {number: name for name, (number, *_) in MODELS.items()}
DTYPES = {
    "I16": ("<i2", "int16"),
    "I32": ("<i4", "int32"),
    "U8": ("|u1", "uint8"),
    "F16": ("<f2", "float16"),
    "F32": ("<f4", "float32"),
}
LEVELS = 10
SHIFT_MAX = 30
COUNT_MAX = 4096  # of a number in a configuration
COUNT_MIN = {"M": 2, "widths": 2, "spatial": [3, 1], "head": [0, 1], "blocks": 0, "units": 0}

_HYPER = {"M", "Z", "hyper", "features"}
_GDN = _HYPER | {"N"}
_ELIC = _HYPER | {"groups", "context", "spatial", "hidden", "widths", "kernels", "blocks", "units"}
KEYS = {
    "tiny": _ELIC,
    "balle2017": {"M", "N"},
    "balle2018": _GDN,
    "minnen2018": _GDN | {"context", "hidden"},
    "cheng2020": _HYPER | {"context", "hidden", "widths", "units"},
    "minnen2020": _GDN | {"context", "hidden", "slices", "support", "lrp"},
    "hific": _HYPER | {"hidden", "widths", "beside", "head", "kernels", "blocks", "units"},
    "checkerboard": _GDN | {"context", "hidden"},
    "elic": _ELIC,
}
LISTS = {"hidden": 2, "groups": None, "spatial": 2, "widths": 3, "beside": 4, "head": 2}
LISTS |= {"kernels": 4}


@dataclass
class Model:
    name: str
    config: dict[str, Any]
    layers: dict[str, Layer]
    tensors: dict[str, npt.NDArray[Any]]
    label: str  # for messages: model and fingerprint


def read_safetensors(data: bytes) -> tuple[dict[str, str], dict[str, npt.NDArray[Any]]]:
    """Return metadata and tensors; anything that does not fit raises ValueError or KeyError."""
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start].decode("utf-8"))
    metadata = header.pop("__metadata__")
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        dtype = np.dtype(DTYPES[entry["dtype"]][0])
        count = math.prod(entry["shape"])
        if not 0 <= begin <= end <= len(data) - start or end - begin != count * dtype.itemsize:
            raise ValueError(f"{name}: offsets do not fit")
        flat = np.frombuffer(data, dtype, count, start + begin)
        tensors[name] = flat.reshape(entry["shape"])
    return metadata, tensors


def fingerprint(model: str, config: str, tensors: dict[str, npt.NDArray[Any]]) -> bytes:
    digest = hashlib.sha256()

    def add(piece: bytes) -> None:
        digest.update(len(piece).to_bytes(8, "little") + piece)

    types = {np.dtype(code): name for code, name in DTYPES.values()}
    add(model.encode("ascii"))
    add(config.encode("utf-8"))
    for name in sorted(tensors, key=lambda name: name.encode("utf-8")):
        tensor = tensors[name]
        add(name.encode("utf-8"))
        add(types[tensor.dtype].encode("ascii"))
        add(",".join(map(str, tensor.shape)).encode("ascii"))
        add(tensor.tobytes())
    return digest.digest()[:8]


def configuration(model: str, text: str) -> dict[str, Any]:
    """Return a configuration that keeps the rules of models.md, section 2, or raise ValueError."""
    config = json.loads(text)
    if not isinstance(config, dict) or set(config) != KEYS[model]:
        raise ValueError(f"config: the keys of {model} wanted")
    for key, value in config.items():
        numbers = value if key in LISTS else [value]
        if not isinstance(numbers, list) or len(numbers) != (LISTS.get(key, 1) or len(numbers)):
            raise ValueError(f"{key}: {value} found, {LISTS[key] or 'some'} numbers wanted")
        least = COUNT_MIN.get(key, 1)
        each = least if isinstance(least, list) else [least] * len(numbers)
        for number, low in zip(numbers, each, strict=True):
            if type(number) is not int or not low <= number <= COUNT_MAX:
                raise ValueError(f"{key}: {number} found, {low} to {COUNT_MAX} wanted")
    if sum(config.get("groups", [config["M"]])) != config["M"]:
        raise ValueError(f"groups: {config['groups']} found, a sum of {config['M']} wanted")
    if "slices" in config and (not config["slices"] or config["M"] % config["slices"]):
        raise ValueError(f"slices: {config['slices']} found, a part of {config['M']} wanted")
    kernels = [*config.get("kernels", []), *config.get("spatial", [])[:1]]
    if not all(kernel % 2 for kernel in kernels):
        raise ValueError(f"kernels: {kernels} found, odd ones wanted")
    return config


def integer_layers(
    model: str, config: dict[str, Any], tensors: dict[str, npt.NDArray[Any]]
) -> dict[str, Layer]:
    """Check every tensor's type, and the shapes of those that the entropy path needs."""
    layers: dict[str, Layer] = {}
    want: dict[str, tuple[str, tuple[int, ...]]] = {}
    for name, (kernel, inputs, outputs, limits) in MODELS[model][1](config).items():
        want[f"{name}.weight"] = ("<i2", (outputs, inputs, kernel, kernel))
        want[f"{name}.bias"] = ("<i4", (LEVELS, outputs))
        want[f"{name}.shift"] = ("|u1", (outputs,))
        weight, bias, shift = (tensors[f"{name}.{part}"] for part in ("weight", "bias", "shift"))
        if shift.max() > SHIFT_MAX:
            raise ValueError(f"{name}.shift: above {SHIFT_MAX}")
        layers[name] = Layer(weight, bias, shift, *limits)
    for name, tensor in tensors.items():
        other = "<f4" if name.endswith((".log", ".rows")) else "<f2"
        dtype, shape = want.get(name, (other, tensor.shape))
        if (tensor.dtype, tensor.shape) != (np.dtype(dtype), shape):
            raise ValueError(f"{name}: {tensor.dtype} {tensor.shape} found, {dtype} {shape} wanted")
    return layers


def find(folder: Path, model_id: int, wanted: bytes) -> Model:
    """Return the weights of a header's model and fingerprint."""
    if model_id not in NAMES:
        raise UnknownModelError(f"model: {model_id} found, {sorted(NAMES)} known")
    model = NAMES[model_id]
    label = f"model {model}, fingerprint {wanted.hex()}"
    paths = sorted(folder.glob(f"{model}*-{wanted.hex()}.safetensors"))
    if not paths:
        raise WeightsNotFoundError(f"{label}: not in {folder}")
    try:
        metadata, tensors = read_safetensors(paths[0].read_bytes())
        if metadata["model"] != model:
            raise ValueError(f"they are of the model {metadata['model']}")
        if fingerprint(model, metadata["config"], tensors) != wanted:
            raise ValueError("the contents do not fit the fingerprint")
        config = configuration(model, metadata["config"])
        layers = integer_layers(model, config, tensors)
    except (ValueError, KeyError, TypeError) as error:
        raise WeightsNotFoundError(f"{label}: {paths[0]} is damaged: {error!r}") from error
    return Model(model, config, layers, tensors, label)
