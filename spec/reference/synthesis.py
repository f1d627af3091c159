"""models.md, section 5: from the latents of all tiles to pixels, in float32."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .decoder import SAMPLE, STRIDE, Decoded

Floats = npt.NDArray[np.float32]


class Synthesis:
    def __init__(
        self, config: dict[str, Any], tensors: dict[str, npt.NDArray[Any]], level: int
    ) -> None:
        self.config = config
        self.tensors = tensors
        self.n = min((level - 100) // 1100, 8)
        self.t = (level - 100 - 1100 * self.n) / 1100

    def tensor(self, name: str) -> Floats:
        return self.tensors[name].astype(np.float32)

    def conv(self, name: str, x: Floats) -> Floats:
        weight, bias = self.tensor(f"{name}.weight"), self.tensor(f"{name}.bias")
        inputs, height, width = x.shape
        outputs, _, kernel, _ = weight.shape
        r = (kernel - 1) // 2
        padded = np.pad(x, ((0, 0), (r, r), (r, r)))
        out = np.repeat(bias[:, None], height * width, axis=1)
        for u in range(kernel):
            for v in range(kernel):
                window = padded[:, u : u + height, v : v + width].reshape(inputs, -1)
                out += weight[:, :, u, v] @ window
        return out.reshape(outputs, height, width)

    def deconv(self, name: str, x: Floats) -> Floats:
        weight, bias = self.tensor(f"{name}.weight"), self.tensor(f"{name}.bias")
        inputs, height, width = x.shape
        _, outputs, kernel, _ = weight.shape
        p = (kernel - 1) // 2
        out = np.zeros((outputs, 2 * height + kernel, 2 * width + kernel), np.float32)
        for u in range(kernel):
            for v in range(kernel):
                piece = weight[:, :, u, v].T @ x.reshape(inputs, -1)
                rows, columns = slice(u, u + 2 * height, 2), slice(v, v + 2 * width, 2)
                out[:, rows, columns] += piece.reshape(outputs, height, width)
        return out[:, p : p + 2 * height, p : p + 2 * width] + bias[:, None, None]

    def at(self, name: str) -> Floats:
        """Return a tensor's values at the level, to be used per channel."""
        rows = self.tensor(name)
        row: Floats = rows[self.n] + (rows[self.n + 1] - rows[self.n]) * np.float32(self.t)
        return row[:, None, None]

    def gain(self, name: str, x: Floats) -> Floats:
        scaled: Floats = x * np.exp(self.at(f"{name}.log"))
        return scaled

    def bottlenecks(self, name: str, count: int, x: Floats) -> Floats:
        for block in (f"{name}.blocks.{unit}" for unit in range(count)):
            inner = (self.conv(f"{block}.first", x) + self.at(f"{block}.bias.rows")).clip(0)
            inner = self.conv(f"{block}.middle", inner).clip(0)
            x = x + self.gain(f"{block}.gain", self.conv(f"{block}.last", inner))
        return x

    def attention(self, name: str, x: Floats) -> Floats:
        units = self.config["units"]
        trunk = self.bottlenecks(f"{name}.trunk", units, x)
        branch = self.bottlenecks(f"{name}.branch", units, x)
        # The sigmoid by way of tanh, which does not overflow.
        gate = 0.5 + 0.5 * np.tanh(0.5 * self.conv(f"{name}.mask", branch))
        mixed: Floats = x + self.at(f"{name}.scale") * trunk * gate
        return mixed

    def __call__(self, x: Floats) -> Floats:
        blocks = self.config["blocks"]
        x = self.attention("g_s.attentions.0", self.gain("inverse_gain", x))
        x = self.gain("g_s.gain", self.deconv("g_s.convs.0", x))
        x = self.deconv("g_s.convs.1", self.bottlenecks("g_s.blocks.0", blocks, x))
        x = self.attention("g_s.attentions.2", self.bottlenecks("g_s.blocks.1", blocks, x))
        x = self.bottlenecks("g_s.blocks.2", blocks, self.deconv("g_s.convs.2", x))
        return self.deconv("g_s.convs.3", x) + np.float32(0.5)


def pixels(decoded: Decoded) -> npt.NDArray[np.uint8]:
    """Return the image as an array [row, column, channel of the mode]."""
    header, model = decoded.container.header, decoded.model
    height, width = (-(-side // STRIDE) * STRIDE for side in (header.height, header.width))
    latent = np.zeros((model.config["M"], height // SAMPLE, width // SAMPLE), np.float32)
    edge = (header.tile or max(height, width)) // SAMPLE
    columns = -(-latent.shape[2] // edge)
    for number, (_, y) in enumerate(decoded.latents):
        top, left = edge * (number // columns), edge * (number % columns)
        latent[:, top : top + y.shape[1], left : left + y.shape[2]] = y / 16
    full = Synthesis(model.config, model.tensors, header.level)(latent)
    image = np.rint(np.clip(full[:, : header.height, : header.width], 0, 1) * 255)
    colour = image.astype(np.uint8).transpose(1, 2, 0)
    if header.mode in ("L", "LA"):
        colour = ((colour.sum(2, dtype=np.int64, keepdims=True) + 1) // 3).astype(np.uint8)
    if decoded.container.alpha is None:
        return colour
    return np.concatenate([colour, decoded.container.alpha[:, :, None]], axis=2)
