"""steps.md: the integer layers of each model, and how its latents are decoded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from .layers import Integers, Layer, both, saturate, shuffle
from .mixtures import Mixture, blend, table
from .rangecoder import Reader, Table

STRIDE = 64  # pixels per sample of z
SAMPLE = 16  # pixels per sample of y
RELU = (0, 1023)
SIGNED = (-1023, 1023)
MEAN = (-32767, 32767)
INDEX = (0, 63)
NEIGHBOURS = [(u, v) for u in (-2, -1, 0) for v in range(-2, 3) if (u, v) < (0, 0)]

Config = dict[str, Any]
Layers = dict[str, tuple[int, int, int, tuple[int, int]]]  # kernel, inputs, outputs, limits
Mask = npt.NDArray[np.bool_]


class Tile:
    """One tile while it is decoded."""

    def __init__(
        self,
        config: Config,
        layers: dict[str, Layer],
        tables: list[Table | None],
        level: int,
        size: tuple[int, int],
        reader: Reader,
    ) -> None:
        self.config, self.layers, self.tables = config, layers, tables
        self.level, self.reader = level, reader
        self.z_size = (size[0] // STRIDE, size[1] // STRIDE)
        self.y_size = (size[0] // SAMPLE, size[1] // SAMPLE)

    def layer(self, name: str, values: Integers) -> Integers:
        return self.layers[name](values, self.level)

    def constant(self, name: str, size: tuple[int, int]) -> Integers:
        """Return the output for an input of 0, at every position."""
        out = self.layers[name].constant(self.level)
        return np.broadcast_to(out[:, None, None], (len(out), *size))

    def chain(self, name: str, values: Integers) -> Integers:
        return self.layer(f"{name}.layers.1", self.layer(f"{name}.layers.0", values))

    def parameters(self, k: int, values: Integers) -> tuple[Integers, Integers]:
        inner = self.chain(f"parameters_y.{k}.body", values)
        mean, index = (self.layer(f"parameters_y.{k}.{part}", inner) for part in ("mean", "index"))
        return mean, index

    def step(
        self, mask: Mask | None, mean: Integers, index: Integers, mixture: Mixture | None = None
    ) -> Integers:
        """Decode one coding step; return its dequantised values, 0 outside the mask."""
        shape = mean.shape
        inside = np.broadcast_to(True if mask is None else mask, shape)
        if self.reader.whole:
            index = np.maximum(index, 1)
        where = np.flatnonzero(inside & (index > 0))  # C order
        chosen: list[Table] = []
        if mixture is None:
            found = [self.tables[number] for number in index.ravel()[where]]
            chosen = [table for table in found if table is not None]
            order = np.argsort(index.ravel()[where], kind="stable")
        else:
            parts = (mixture.offset, mixture.index, mixture.weight)
            flat = [part.reshape(len(part), -1)[:, where].T.tolist() for part in parts]
            chosen = [table(*components) for components in zip(*flat, strict=True)]
            order = np.argsort([table.half for table in chosen], kind="stable")
        symbols = np.zeros(mean.size, np.int64)
        keys = [id(chosen[at]) if mixture is None else chosen[at].half for at in order]
        begin = 0
        for end in range(1, len(order) + 1):
            if end == len(order) or keys[end] != keys[begin]:
                run = order[begin:end]
                half = chosen[run[0]].half
                symbols[where[run]] = self.reader.symbols(half, [chosen[at] for at in run])
                begin = end
        return np.where(inside, 16 * symbols.reshape(shape) + mean, 0)


# -- layers ----------------------------------------------------------------------------------------


def _hyper(config: Config) -> Layers:
    Z, hyper, features = config["Z"], config["hyper"], config["features"]
    return {
        "prior_z.mean": (1, 1, Z, MEAN),
        "prior_z.index": (1, 1, Z, INDEX),
        "h_s.layers.0": (3, Z, 4 * hyper, RELU),
        "h_s.layers.1": (3, hyper, 4 * hyper, RELU),
        "h_s.layers.2": (3, hyper, features, RELU),
    }


def _parameters(config: Config, k: int, inputs: int, channels: int) -> Layers:
    first, second = config["hidden"]
    name = f"parameters_y.{k}"
    return {
        f"{name}.body.layers.0": (1, inputs, first, RELU),
        f"{name}.body.layers.1": (1, first, second, RELU),
        f"{name}.mean": (1, second, channels, MEAN),
        f"{name}.index": (1, second, channels, INDEX),
    }


def _channel(config: Config, k: int, before: int) -> Layers:
    width = config["context"]
    return {
        f"channel.{k - 1}.layers.0": (3, 2 * before, width, RELU),
        f"channel.{k - 1}.layers.1": (3, width, width, RELU),
    }


def _layers_balle2017(config: Config) -> Layers:
    kinds = {"mean": MEAN, "index": INDEX, "logit": SIGNED}
    return {f"parameters_y.0.{kind}": (1, 1, 3 * config["M"], kinds[kind]) for kind in kinds}


def _layers_balle2018(config: Config) -> Layers:
    return _hyper(config) | {"parameters_y.0.index": (1, config["features"], config["M"], INDEX)}


def _layers_hific(config: Config) -> Layers:
    return _hyper(config) | _parameters(config, 0, config["features"], config["M"])


def _layers_minnen2018(config: Config) -> Layers:
    M, width = config["M"], config["context"]
    context: Layers = {"context": (1, 24 * M, width, SIGNED)}
    return _hyper(config) | context | _parameters(config, 0, config["features"] + width, M)


def _layers_cheng2020(config: Config) -> Layers:
    out = _layers_minnen2018(config)
    second = config["hidden"][1]
    for kind, limits in (("mean", MEAN), ("index", INDEX), ("logit", SIGNED)):
        out[f"parameters_y.0.{kind}"] = (1, second, 3 * config["M"], limits)
    return out


def _layers_checkerboard(config: Config) -> Layers:
    M, width = config["M"], config["context"]
    spatial: Layers = {"spatial": (5, 2 * M, width, SIGNED)}
    return _hyper(config) | spatial | _parameters(config, 0, config["features"] + width, M)


def _layers_minnen2020(config: Config) -> Layers:
    out = _hyper(config)
    size = config["M"] // config["slices"]
    for k in range(config["slices"]):
        if k:
            out |= _channel(config, k, min(k, config["support"]) * size)
        inputs = config["features"] + (config["context"] if k else 0)
        out |= _parameters(config, k, inputs, size)
    return out


def _layers_elic(config: Config) -> Layers:
    out = _hyper(config)
    kernel, most = config["spatial"]
    for k, size in enumerate(config["groups"]):
        if k:
            out |= _channel(config, k, sum(config["groups"][:k]))
        near = min(2 * size, most)
        out[f"spatial.{k}"] = (kernel, 2 * size, near, SIGNED)
        inputs = config["features"] + (config["context"] if k else 0) + near
        out |= _parameters(config, k, inputs, size)
    return out


# -- coding steps of y -----------------------------------------------------------------------------


def _balle2017(tile: Tile, _: Integers) -> Integers:
    outputs = (
        tile.constant(f"parameters_y.0.{kind}", tile.y_size) for kind in ("mean", "index", "logit")
    )
    return tile.step(None, *blend(*outputs))


def _balle2018(tile: Tile, features: Integers) -> Integers:
    index = tile.layer("parameters_y.0.index", features)
    return tile.step(None, np.zeros_like(index), index)


def _hific(tile: Tile, features: Integers) -> Integers:
    return tile.step(None, *tile.parameters(0, features))


def _group(tile: Tile, known: Integers, spatial: str, k: int, channels: int) -> Integers:
    """Code a group of channels in two passes."""
    anchors = np.add.outer(*(np.arange(side) for side in tile.y_size)) % 2 == 0
    group = np.zeros((channels, *tile.y_size), np.int64)
    for mask in (anchors, ~anchors):
        near = np.where(anchors, 0, tile.layer(spatial, both(group)))
        group = group + tile.step(mask, *tile.parameters(k, np.concatenate([known, near])))
    return group


def _checkerboard(tile: Tile, features: Integers) -> Integers:
    return _group(tile, features, "spatial", 0, tile.config["M"])


def _elic(tile: Tile, features: Integers) -> Integers:
    groups: list[Integers] = []
    for k, channels in enumerate(tile.config["groups"]):
        known = [features]
        if k:
            before = np.concatenate([both(group) for group in groups])
            known.append(tile.chain(f"channel.{k - 1}", before))
        groups.append(_group(tile, np.concatenate(known), f"spatial.{k}", k, channels))
    return np.concatenate(groups)


def _minnen2020(tile: Tile, features: Integers) -> Integers:
    slices: list[Integers] = []
    for k in range(tile.config["slices"]):
        known = [features]
        if k:
            before = np.concatenate([both(part) for part in slices[: tile.config["support"]]])
            known.append(tile.chain(f"channel.{k - 1}", before))
        slices.append(tile.step(None, *tile.parameters(k, np.concatenate(known))))
    return np.concatenate(slices)


def _waves(
    tile: Tile, features: Integers, finish: Callable[[Integers], tuple[Any, ...]]
) -> Integers:
    """Decode wave by wave; `finish` turns what is known into the parameters of a step."""
    height, width = tile.y_size
    y = np.zeros((tile.config["M"], height, width), np.int64)
    wave = np.add.outer(3 * np.arange(height), np.arange(width))
    for number in range(wave.max() + 1):
        mask = wave == number
        if not mask.any():
            continue
        padded = np.pad(both(y), ((0, 0), (2, 2), (2, 2)))
        around = [padded[:, 2 + u : 2 + u + height, 2 + v : 2 + v + width] for u, v in NEIGHBOURS]
        near = tile.layer("context", np.concatenate(around))
        y = y + tile.step(mask, *finish(np.concatenate([features, near])))
    return y


def _minnen2018(tile: Tile, features: Integers) -> Integers:
    return _waves(tile, features, lambda known: tile.parameters(0, known))


def _cheng2020(tile: Tile, features: Integers) -> Integers:
    def finish(known: Integers) -> tuple[Any, ...]:
        inner = tile.chain("parameters_y.0.body", known)
        parts = (tile.layer(f"parameters_y.0.{p}", inner) for p in ("mean", "index", "logit"))
        return blend(*parts)

    return _waves(tile, features, finish)


MODELS: dict[str, tuple[int, Callable[[Config], Layers], Callable[[Tile, Integers], Integers]]] = {
    "tiny": (0, _layers_elic, _elic),
    "balle2017": (1, _layers_balle2017, _balle2017),
    "balle2018": (2, _layers_balle2018, _balle2018),
    "minnen2018": (3, _layers_minnen2018, _minnen2018),
    "cheng2020": (4, _layers_cheng2020, _cheng2020),
    "minnen2020": (5, _layers_minnen2020, _minnen2020),
    "hific": (6, _layers_hific, _hific),
    "checkerboard": (7, _layers_checkerboard, _checkerboard),
    "elic": (8, _layers_elic, _elic),
}


def decode_tile(model: str, tile: Tile) -> dict[str, Integers]:
    """Return the latents of a tile in coding order."""
    latents: dict[str, Integers] = {}
    features = np.zeros((0, *tile.y_size), np.int64)
    if "Z" in tile.config:
        mean, index = (tile.constant(f"prior_z.{part}", tile.z_size) for part in ("mean", "index"))
        latents["z"] = tile.step(None, mean, index)
        features = shuffle(tile.layer("h_s.layers.0", saturate(latents["z"])))
        features = shuffle(tile.layer("h_s.layers.1", features))
        features = tile.layer("h_s.layers.2", features)
    latents["y"] = MODELS[model][2](tile, features)
    return latents
