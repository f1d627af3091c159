"""models.md, sections 3 and 6: weights files, fingerprints, and the list of integer layers."""

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

NAMES = {0: "tiny", 8: "elic"}
DTYPES = {
    "I16": ("<i2", "int16"),
    "I32": ("<i4", "int32"),
    "U8": ("|u1", "uint8"),
    "F16": ("<f2", "float16"),
    "F32": ("<f4", "float32"),
}
LEVELS = 10
SHIFT_MAX = 30
MEAN = (-32767, 32767)
INDEX = (0, 63)
RELU = (0, 1023)
SIGNED = (-1023, 1023)


@dataclass
class Model:
    name: str
    config: dict[str, Any]
    layers: dict[str, Layer]
    tensors: dict[str, npt.NDArray[Any]]


def layer_list(config: dict[str, Any]) -> dict[str, tuple[int, int, int, tuple[int, int]]]:
    """Return kernel, inputs, outputs and limits of every integer layer, by name."""
    Z, hyper, features = config["Z"], config["hyper"], config["features"]
    context, (kernel, most), hidden = config["context"], config["spatial"], config["hidden"]
    out = {
        "prior_z.mean": (1, 1, Z, MEAN),
        "prior_z.index": (1, 1, Z, INDEX),
        "h_s.layers.0": (3, Z, 4 * hyper, RELU),
        "h_s.layers.1": (3, hyper, 4 * hyper, RELU),
        "h_s.layers.2": (3, hyper, features, RELU),
    }
    before = 0
    for k, channels in enumerate(config["groups"]):
        if k:
            out[f"channel.{k - 1}.layers.0"] = (3, 2 * before, context, RELU)
            out[f"channel.{k - 1}.layers.1"] = (3, context, context, RELU)
        near = min(2 * channels, most)
        out[f"spatial.{k}"] = (kernel, 2 * channels, near, SIGNED)
        name = f"parameters_y.{k}"
        inputs = features + (context if k else 0) + near
        out[f"{name}.body.layers.0"] = (1, inputs, hidden[0], RELU)
        out[f"{name}.body.layers.1"] = (1, hidden[0], hidden[1], RELU)
        out[f"{name}.mean"] = (1, hidden[1], channels, MEAN)
        out[f"{name}.index"] = (1, hidden[1], channels, INDEX)
        before += channels
    return out


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


def integer_layers(
    config: dict[str, Any], tensors: dict[str, npt.NDArray[Any]]
) -> dict[str, Layer]:
    """Check every tensor's type, and the shapes of those that the entropy path needs."""
    layers: dict[str, Layer] = {}
    want: dict[str, tuple[str, tuple[int, ...]]] = {}
    for name, (kernel, inputs, outputs, limits) in layer_list(config).items():
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
    paths = sorted(folder.glob(f"{model}-*-{wanted.hex()}.safetensors"))
    if not paths:
        raise WeightsNotFoundError(f"{label}: not in {folder}")
    try:
        metadata, tensors = read_safetensors(paths[0].read_bytes())
        if metadata["model"] != model:
            raise ValueError(f"they are of the model {metadata['model']}")
        if fingerprint(model, metadata["config"], tensors) != wanted:
            raise ValueError("the contents do not fit the fingerprint")
        config = json.loads(metadata["config"])
        layers = integer_layers(config, tensors)
    except (ValueError, KeyError, TypeError) as error:
        raise WeightsNotFoundError(f"{label}: {paths[0]} is damaged: {error!r}") from error
    return Model(model, config, layers, tensors)
