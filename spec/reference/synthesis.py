"""synthesis.md: from the latents of all tiles to pixels, in float32."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from .decoder import Decoded
from .errors import WeightsNotFoundError
from .layers import shuffle
from .steps import SAMPLE, STRIDE
from .weights import LEVELS, Model

Floats = npt.NDArray[np.float32]


class Synthesis:
    """The operations of section 2, on the tensors of one model at one level."""

    def __init__(self, model: Model, level: int) -> None:
        self.config, self.tensors, self.label = model.config, model.tensors, model.label
        self.n = min((level - 100) // 1100, 8)
        self.t = (level - 100 - 1100 * self.n) / 1100

    def tensor(self, name: str, *shape: int | None) -> Floats:
        """Return a tensor of this shape, in which None stands for any size."""
        found = self.tensors.get(name)
        if found is None:
            raise WeightsNotFoundError(f"{self.label}: {name}: missing")
        sizes = zip(found.shape, shape, strict=False)
        if found.ndim != len(shape) or any(want not in (None, size) for size, want in sizes):
            problem = f"{name}: shape {found.shape} found, {shape} wanted"
            raise WeightsNotFoundError(f"{self.label}: {problem}")
        return found.astype(np.float32)

    def conv(self, name: str, x: Floats) -> Floats:
        inputs, height, width = x.shape
        weight = self.tensor(f"{name}.weight", None, inputs, None, None)
        outputs, _, kernel, _ = weight.shape
        bias = self.tensor(f"{name}.bias", outputs)
        r = (kernel - 1) // 2
        padded = np.pad(x, ((0, 0), (r, r), (r, r)))
        out = np.repeat(bias[:, None], height * width, axis=1)
        for u in range(kernel):
            for v in range(kernel):
                window = padded[:, u : u + height, v : v + width].reshape(inputs, -1)
                out += weight[:, :, u, v] @ window
        return out.reshape(outputs, height, width)

    def deconv(self, name: str, x: Floats) -> Floats:
        inputs, height, width = x.shape
        weight = self.tensor(f"{name}.weight", inputs, None, None, None)
        _, outputs, kernel, _ = weight.shape
        bias = self.tensor(f"{name}.bias", outputs)
        p = (kernel - 1) // 2
        out = np.zeros((outputs, 2 * height + kernel, 2 * width + kernel), np.float32)
        for u in range(kernel):
            for v in range(kernel):
                piece = weight[:, :, u, v].T @ x.reshape(inputs, -1)
                rows, columns = slice(u, u + 2 * height, 2), slice(v, v + 2 * width, 2)
                out[:, rows, columns] += piece.reshape(outputs, height, width)
        return out[:, p : p + 2 * height, p : p + 2 * width] + bias[:, None, None]

    def at(self, name: str, channels: int) -> Floats:
        """Return a tensor's values at the level, to be used per channel."""
        rows = self.tensor(name, LEVELS, channels)
        row: Floats = rows[self.n] + (rows[self.n + 1] - rows[self.n]) * np.float32(self.t)
        return row[:, None, None]

    def gain(self, name: str, x: Floats) -> Floats:
        scaled: Floats = x * np.exp(self.at(f"{name}.log", len(x)))
        return scaled

    def bottlenecks(self, name: str, count: int, x: Floats) -> Floats:
        for block in (f"{name}.blocks.{unit}" for unit in range(count)):
            inner = self.biased(f"{block}.first", f"{block}.bias", x).clip(0)
            inner = self.conv(f"{block}.middle", inner).clip(0)
            x = x + self.gain(f"{block}.gain", self.conv(f"{block}.last", inner))
        return x

    def attention(self, name: str, x: Floats) -> Floats:
        units = self.config["units"]
        trunk = self.bottlenecks(f"{name}.trunk", units, x)
        branch = self.bottlenecks(f"{name}.branch", units, x)
        # The sigmoid by way of tanh, which does not overflow.
        gate = 0.5 + 0.5 * np.tanh(0.5 * self.conv(f"{name}.mask", branch))
        mixed: Floats = x + self.at(f"{name}.scale", len(x)) * trunk * gate
        return mixed

    def biased(self, name: str, bias: str, x: Floats) -> Floats:
        mixed = self.conv(name, x)
        out: Floats = mixed + self.at(f"{bias}.rows", len(mixed))
        return out

    def igdn(self, name: str, x: Floats) -> Floats:
        gamma = np.square(self.tensor(f"{name}.root", len(x), len(x), 1, 1)[:, :, 0, 0])
        mixed = (gamma @ np.square(x).reshape(len(x), -1)).reshape(x.shape)
        out: Floats = x * np.sqrt(np.exp(self.at(f"{name}.log", len(x))) + mixed)
        return out

    def norm(self, name: str, x: Floats) -> Floats:
        centred = x - x.mean(0)
        spread = np.sqrt(
            np.square(centred).sum(0) / np.float32(max(len(x) - 1, 1)) + np.float32(1e-3)
        )
        out: Floats = centred / spread * self.tensor(f"{name}.weight", len(x), 1, 1)
        return out + self.tensor(f"{name}.shift", len(x), 1, 1)

    # -- section 3 ---------------------------------------------------------------------------------

    def gdn(self, x: Floats) -> Floats:
        for n in range(3):
            x = self.igdn(f"g_s.norms.{n}", self.deconv(f"g_s.convs.{n}", x))
        return self.deconv("g_s.convs.3", x)

    def predicted(self, x: Floats) -> Floats:
        """Apply latent residual prediction; x is Y."""
        slices = np.split(np.arcsinh(x), self.config["slices"])
        residuals = []
        for k, part in enumerate(slices):
            known = [*slices[: min(k, self.config["support"])], part]
            inner = self.conv(f"lrp.{k}.0", np.concatenate(known)).clip(0)
            residuals.append(np.tanh(self.conv(f"lrp.{k}.2", inner)) / 2)
        better: Floats = x + np.concatenate(residuals)
        return better

    def residual(self, name: str, x: Floats) -> Floats:
        inner = leaky(self.biased(f"{name}.first", f"{name}.bias", x))
        return x + leaky(self.gain(f"{name}.gain", self.conv(f"{name}.last", inner)))

    def up(self, name: str, x: Floats) -> Floats:
        inner = leaky(double(self.biased(f"{name}.first", f"{name}.bias", x)))
        inner = self.igdn(f"{name}.norm", self.conv(f"{name}.last", inner))
        return self.gain(f"{name}.gain", inner)

    def subpixel(self, x: Floats) -> Floats:
        x = self.residual("g_s.blocks.0", self.attention("g_s.attentions.0", x))
        for n in range(3):
            x = double(self.conv(f"g_s.convs.{n}", x)) + self.up(f"g_s.ups.{n}", x)
            if n == 0:
                x = self.gain("g_s.gain", x)
            if n == 1:
                x = self.attention("g_s.attentions.2", x)
            x = self.residual(f"g_s.blocks.{n + 1}", x)
        return double(self.conv("g_s.convs.3", x))

    def head(self, x: Floats) -> Floats:
        x = self.norm("g_s.head.norm", self.biased("g_s.head.first", "g_s.head.bias", x))
        inner = x
        for n in range(self.config["head"][0]):
            body = f"g_s.head.blocks.{n}.body"
            part = self.norm(f"{body}.1", self.conv(f"{body}.0", inner)).clip(0)
            inner = inner + self.norm(f"{body}.4", self.conv(f"{body}.3", part))
        return self.gain("g_s.head.gain", self.conv("g_s.head.last", x + inner))

    def beside(self, name: str, x: Floats) -> Floats:
        inner = double(self.biased(f"{name}.first", f"{name}.bias", x))
        inner = self.norm(f"{name}.norm", inner).clip(0)
        return self.gain(f"{name}.gain", self.conv(f"{name}.last", inner))

    def bottleneck(self, x: Floats, added: bool = False) -> Floats:
        attended = self.attention("g_s.attentions.0", x)
        x = attended + self.head(x) if added else attended
        for n in range(4):
            wide = self.deconv(f"g_s.convs.{n}", x)
            x = wide + self.beside(f"g_s.normed.{n}", x) if added else wide
            if n == 0:
                x = self.gain("g_s.gain", x)
            if n < 3:
                x = self.bottlenecks(f"g_s.blocks.{n}", self.config["blocks"], x)
            if n == 1:
                x = self.attention("g_s.attentions.2", x)
        return x

    def generator(self, x: Floats) -> Floats:
        return self.bottleneck(x, added=True)

    def __call__(self, model: str, y: Floats) -> Floats:
        if model == "minnen2020":
            y = self.predicted(y)
        return TRANSFORMS[model](self, self.gain("inverse_gain", y)) + np.float32(0.5)


TRANSFORMS: dict[str, Callable[[Synthesis, Floats], Floats]] = {
    "tiny": Synthesis.bottleneck,
    "balle2017": Synthesis.gdn,
    "balle2018": Synthesis.gdn,
    "minnen2018": Synthesis.gdn,
    "cheng2020": Synthesis.subpixel,
    "minnen2020": Synthesis.gdn,
    "hific": Synthesis.generator,
    "checkerboard": Synthesis.gdn,
    "elic": Synthesis.bottleneck,
}


def leaky(x: Floats) -> Floats:
    out: Floats = np.where(x < 0, x / 100, x).astype(np.float32)
    return out


def double(x: Floats) -> Floats:
    out: Floats = shuffle(x)  # type: ignore[arg-type, assignment]
    return out


def pixels(decoded: Decoded, frame: int = 0) -> npt.NDArray[Any]:
    """Return a frame as an array [row, column, channel of the mode], of u1 or u2."""
    header, model = decoded.container.header, decoded.model
    height, width = (-(-side // STRIDE) * STRIDE for side in (header.height, header.width))
    latent = np.zeros((model.config["M"], height // SAMPLE, width // SAMPLE), np.float32)
    edge = (header.tile or max(height, width)) // SAMPLE
    columns = -(-latent.shape[2] // edge)
    for number, latents in enumerate(decoded.latents[frame]):
        y = latents["y"]
        top, left = edge * (number // columns), edge * (number % columns)
        latent[:, top : top + y.shape[1], left : left + y.shape[2]] = y / 16
    full = Synthesis(model, header.level)(model.name, latent)
    white = np.float32(2**header.depth - 1)
    kind = np.dtype(f"u{header.depth // 8}")
    image = np.nan_to_num(full[:, : header.height, : header.width])
    image = np.rint(np.clip(image, 0, 1) * white)
    colour: npt.NDArray[Any] = image.astype(kind).transpose(1, 2, 0)
    if header.mode in ("L", "LA"):
        colour = ((colour.sum(2, dtype=np.int64, keepdims=True) + 1) // 3).astype(kind)
    alpha = decoded.container.frames[frame].alpha
    if alpha is None:
        return colour
    whole: npt.NDArray[Any] = np.concatenate([colour, alpha[:, :, None]], axis=2)
    return whole
