"""Integer convolutions: the arithmetic that every decoder repeats bit by bit.

Tensors here are float, but hold integers. A layer computes

    acc = conv(a, weight) + bias[level]          all integers
    out = clamp(floor((acc + 2^(s-1)) / 2^s), lo, hi)     shift s >= 0 per output channel

and is exact in float32 while no partial sum can reach 2^24; `limits` proves that from the weights
and the range of the input. A layer that cannot meet the bound runs in float64 (2^53).

In training the same code runs on rounded copies of real-valued weights with straight-through
gradients, so the network that is trained is the network that is shipped. Activations carry
`frac` fractional bits: the integer a stands for a / 2^frac.
"""

from __future__ import annotations

import math
import os
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .errors import WeightsError
from .levels import ANCHORS, LEVEL_MIN, SPACING, anchor

__all__ = [
    "FRAC",
    "FULL",
    "IntConv2d",
    "anchor_shares",
    "exact_dtype",
    "level_lerp",
    "magnitude",
    "odd",
    "round_ste",
    "saturate",
    "smooth_magnitude",
]

FRAC = 4  # fractional bits of activations, means and dequantised values: 1/16 of a step
FULL = 1023  # largest magnitude of an activation
EXACT32 = 2.0**24
EXACT64 = 2.0**53
WEIGHT_MAX = 32767  # stored as int16
FINEST = 12  # most fractional bits of a weight
ENVIRONMENT = ("ONEDNN_DEFAULT_FPMATH_MODE", "DNNL_DEFAULT_FPMATH_MODE")  # what oneDNN heeds


def round_ste(x: Tensor) -> Tensor:
    """Round half up, with the gradient of the identity."""
    return x + ((x + 0.5).floor() - x).detach()


def _floor(x: Tensor) -> Tensor:
    """Round down, with the gradient of the identity where one is asked for."""
    return x + (x.floor() - x).detach() if x.requires_grad else x.floor_()


def odd(kernel: int) -> int:
    """Return a kernel size that has a middle; ValueError for another."""
    if kernel % 2 == 0:
        raise ValueError(f"kernel: found {kernel}, allowed are odd sizes")
    return kernel


class _ClampInward(torch.autograd.Function):
    """Clamp whose gradient passes wherever descent would lead back into the range."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, lo: int, hi: int) -> Tensor:
        ctx.save_for_backward(x)
        ctx.lo, ctx.hi = lo, hi
        return x.clamp(lo, hi)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        (x,) = ctx.saved_tensors
        stuck = ((x < ctx.lo) & (gradient > 0)) | ((x > ctx.hi) & (gradient < 0))
        return gradient.masked_fill(stuck, 0), None, None


def saturate(a: Tensor) -> Tensor:
    """Clamp dequantised values to the range that integer layers accept."""
    return a.clamp(-FULL, FULL)


def smooth_magnitude(a: Tensor) -> Tensor:
    """Return what `magnitude` is close to, in floating point: its gradient is taken from here."""
    return (a.abs() / 16).log1p() * (16 / math.log(2))


def magnitude(a: Tensor) -> Tensor:
    """Return about 16 log2(1 + |a| / 16), an integer, for integers |a| <= FULL.

    A scale is a matter of orders of magnitude, which a layer on signed values learns slowly.
    Exact: linear between powers of two, n = |a| + 16 = (16 + m) 2^e + rest gives 16 e + m, which
    is what the exponent of n as a float32 and the four bits after it say.
    """
    n = a.detach().abs().float() + 16
    exact = ((n.view(torch.int32) >> 19) - 16 * (127 + 4)).to(a.dtype)
    if not a.requires_grad:
        return exact
    smooth = smooth_magnitude(a)
    return smooth + (exact - smooth).detach()


def anchor_shares(level: Tensor) -> Tensor:
    """Return the shares (B, ANCHORS) that anchors have in levels (B,).

    `level_lerp` takes them in place of levels. Training makes them once in a step: one small
    product is left for each layer, where gathered rows take a GPU twenty kernels, some to sort.
    """
    anchors = torch.arange(ANCHORS, dtype=level.dtype, device=level.device)
    position = (level - LEVEL_MIN) / SPACING
    return (1 - (position[:, None] - anchors).abs()).clamp_min(0)


def level_lerp(table: Tensor, level: Tensor) -> Tensor:
    """Interpolate real-valued rows (ANCHORS, C) at levels (B,), or their shares: (B, C)."""
    if level.ndim == 2:
        with torch.autocast(level.device.type, enabled=False):
            return level @ table
    position = (level - LEVEL_MIN) / SPACING
    below = position.floor().clamp(0, ANCHORS - 2).long()
    share = (position - below).unsqueeze(1)
    return torch.lerp(table[below], table[below + 1], share.to(table.dtype))


def _ieee() -> bool:
    """Whether float32 convolutions on a CPU are that: a process may have asked for fewer bits.

    Small ones are matrix products to torch.
    """
    if any(os.environ.get(name, "").upper() not in ("", "STRICT") for name in ENVIRONMENT):
        return False
    kinds = [getattr(torch.backends.mkldnn, name, None) for name in ("conv", "matmul")]
    if None in kinds:  # before torch 2.9
        return torch.get_float32_matmul_precision() == "highest"
    return all(kind.fp32_precision in ("none", "ieee") for kind in kinds)  # type: ignore[union-attr]


def exact_dtype(weight: Tensor) -> torch.dtype:
    """In which products by integers whose sums fit the type of `weight` are exact."""
    if weight.device.type == "cpu" and _ieee():
        return weight.dtype
    return torch.float64  # immune to TF32 settings


class IntConv2d(nn.Module):
    """Stride-1 zero-padded convolution on integers, with a bias per level.

    Args:
        inputs, outputs: channels.
        kernel: odd kernel size.
        lo, hi: output clamp; `lo=0` is a ReLU.
        frac_out: fractional bits of the output, at most FRAC, which the input has.
        mask: optional (kernel, kernel) 0/1 pattern of live taps.
        inward: in training, let gradients lead clamped outputs back into the range.

    Input and output: (B, C, H, W) float tensors that hold integers.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int = 1,
        *,
        lo: int = 0,
        hi: int = FULL,
        frac_out: int = FRAC,
        mask: Tensor | None = None,
        inward: bool = False,
    ) -> None:
        super().__init__()
        self.kernel, self.lo, self.hi, self.frac_out = kernel, lo, hi, frac_out
        self.inward = inward
        self.loose = False  # whether training leaves out all rounding
        self.weight = nn.Parameter(torch.empty(outputs, inputs, odd(kernel), kernel))
        self.bias = nn.Parameter(torch.zeros(ANCHORS, outputs))
        nn.init.kaiming_normal_(self.weight)
        self.mask: Tensor | None
        self.register_buffer("mask", mask, persistent=False)
        self.frozen: tuple[Tensor, Tensor, Tensor] | None = None  # weight, bias, shift
        self._scale: Tensor | None = None  # 2^-shift: not every device's power of two is exact
        self._level: tuple[int, Tensor] | None = None
        self._onward: tuple[list[tuple[int, int]], Tensor] | None = None

    # -- training: rounded copies of real weights ----------------------------------------------

    def weight_bits(self, weight: Tensor) -> Tensor:
        """Fractional bits (O,) as fine as the float32 bound and the storage allow."""
        with torch.no_grad():
            flat = weight.flatten(1).abs()
            room = EXACT32 / 4 / FULL  # half for the bias and rounding, half for margin
            fine = (room / flat.sum(1).clamp_min(1e-6)).log2().floor()
            store = (WEIGHT_MAX / flat.amax(1).clamp_min(1e-6)).log2().floor()
            return torch.minimum(fine, store).clamp(0, FINEST)

    def live_weight(self) -> Tensor:
        return self.weight if self.mask is None else self.weight * self.mask

    def rounded(self) -> tuple[Tensor, Tensor, Tensor]:
        """Integer weight (O, I, k, k), integer bias rows (ANCHORS, O) and shift (O,)."""
        weight = self.live_weight()
        bits = self.weight_bits(weight)
        unit = torch.exp2(bits)
        bias = self.bias * unit * 2.0**FRAC
        # far past the clamp, but for means of +-64 steps; more could break the exactness bound
        limit = EXACT32 / 4
        bias = round_ste(bias).clamp(-limit, limit)
        return round_ste(weight * unit[:, None, None, None]), bias, bits + self.shift_base

    @property
    def shift_base(self) -> int:
        """What an output's shift has beside the fractional bits of its weights."""
        return FRAC - self.frac_out

    def forward(self, a: Tensor, level: Tensor | int) -> Tensor:
        """Apply the layer; `level` as `level_lerp` takes it, one integer once frozen."""
        if self.frozen is not None:
            return self._exact(a, int(level))
        assert isinstance(level, Tensor)
        if self.loose and self.training:
            out = F.conv2d(a, self.live_weight(), padding=self.kernel // 2)
            out = out + level_lerp(self.bias, level)[:, :, None, None] * 2.0**FRAC
            out = out * 2.0**-self.shift_base if self.shift_base else out
        else:
            weight, rows, shift = self.rounded()
            bias = level_lerp(rows, level)[:, :, None, None]
            acc = F.conv2d(a, weight, padding=self.kernel // 2) + bias
            scale = torch.exp2(-shift)[None, :, None, None]
            out = round_ste(acc * scale)
        if self.inward:
            clamped: Tensor = _ClampInward.apply(out, self.lo, self.hi)  # type: ignore[no-untyped-call]
            return clamped
        return out.clamp(self.lo, self.hi)

    # -- inference: stored integers ------------------------------------------------------------

    def freeze(self, weight: Tensor, bias: Tensor, shift: Tensor) -> None:
        """Adopt stored integers: weight int16 (O, I, k, k), bias int32 (ANCHORS, O), shift (O,).

        Until others are loaded the layer computes with these, whatever becomes of its parameters.
        Raises WeightsError if a shape, a shift or the exactness bound is violated.
        """
        if tuple(weight.shape) != tuple(self.weight.shape):
            found, allowed = tuple(weight.shape), tuple(self.weight.shape)
            raise WeightsError(f"weight shape: found {found}, allowed is {allowed}")
        outputs = weight.shape[0]
        for name, tensor, shape in (
            ("bias", bias, (ANCHORS, outputs)),
            ("shift", shift, (outputs,)),
        ):
            if tuple(tensor.shape) != shape:
                found = tuple(tensor.shape)
                raise WeightsError(f"{name} shape: found {found}, allowed is {shape}")
        if int(shift.min()) < 0 or int(shift.max()) > 30:
            found, allowed = (int(shift.min()), int(shift.max())), (0, 30)
            raise WeightsError(f"shift: found {found}, allowed is {allowed}")
        dtype = self.limits(weight, bias, shift)
        device = self.weight.device
        self.weight.requires_grad_(False)
        self.frozen = (
            weight.to(device, dtype),
            bias.to(device, torch.int64),
            shift.to(device, torch.int64),
        )
        with torch.no_grad():  # what they stand for, for whoever copies or trains the parameters
            unit = torch.exp2(shift.to(device) - self.shift_base)
            self.weight.copy_(weight.to(device) / unit[:, None, None, None])
            self.bias.copy_(bias.to(device) / unit / 2.0**FRAC)
        scale = [2.0**-bits for bits in shift.int().tolist()]
        self._scale = torch.tensor(scale, dtype=dtype, device=device)[None, :, None, None]
        self._level = self._onward = None

    def _load_from_state_dict(self, state: Any, prefix: str, *more: Any) -> None:
        if f"{prefix}weight" in state:
            self.frozen = None
        super()._load_from_state_dict(state, prefix, *more)

    def limits(self, weight: Tensor, bias: Tensor, shift: Tensor) -> torch.dtype:
        """Return the narrowest dtype that computes these integers exactly."""
        half = torch.where(shift > 0, 2.0 ** (shift.double() - 1), 0.0)
        sums = weight.double().abs().flatten(1).sum(1) * FULL
        largest = float((sums + bias.double().abs().amax(0) + half).max())
        if largest < EXACT32:
            return torch.float32
        if largest < EXACT64:
            return torch.float64
        raise WeightsError(f"sum|w|*max|a|+|b|: found {largest:.3g}, allowed below 2^53")

    def _at_level(self, level: int) -> Tensor:
        """Rows that do not depend on pixels: (bias + rounding half) for one level, cached."""
        assert self.frozen is not None
        cached = self._level  # read once: another thread may set another level
        if cached is None or cached[0] != level:
            weight, rows, shift = self.frozen
            below, t = anchor(level)
            mixed = rows[below] * (SPACING - t) + rows[below + 1] * t
            bias = torch.div(mixed + SPACING // 2, SPACING, rounding_mode="floor")
            half = torch.where(shift > 0, 2 ** (shift - 1).clamp_min(0), 0)
            cached = self._level = (level, (bias + half).to(weight.dtype))
        return cached[1]

    def _exact(self, a: Tensor, level: int) -> Tensor:
        assert self.frozen is not None
        weight = self.frozen[0]
        bias = self._at_level(level)
        if a.device.type == "cpu":
            dtype = exact_dtype(weight)
            acc = self._convolved(a.to(dtype), weight.to(dtype), bias.to(dtype))
        else:
            acc = self._matmul(a.to(weight.dtype), weight, bias)
        return self._rounded(acc)

    def taps(self) -> tuple[list[tuple[int, int]], Tensor]:
        """Return the (row, column) offsets of live taps, and their frozen weights (T, O, C)."""
        assert self.frozen is not None
        weight, middle = self.frozen[0], self.kernel // 2
        mask = torch.ones_like(weight[0, 0]) if self.mask is None else self.mask
        live = mask.nonzero().tolist()
        offsets = [(row - middle, column - middle) for row, column in live]
        return offsets, torch.stack([weight[:, :, row, column] for row, column in live])

    def onward(self) -> tuple[list[tuple[int, int]], Tensor]:
        """Return the offsets of `taps`, and what each channel adds to each of them (C, T * O)."""
        if self._onward is None:
            offsets, weight = self.taps()
            self._onward = offsets, weight.permute(2, 0, 1).flatten(1).contiguous()
        return self._onward

    def from_sums(self, sums: Tensor, level: int) -> Tensor:
        """Return outputs (B, O, H, W) from the sums of products that they are made of."""
        return self._rounded(sums + self._at_level(level)[:, None, None])

    def _rounded(self, acc: Tensor) -> Tensor:
        """What becomes of sums that have the rounding half in them."""
        assert self._scale is not None
        return _floor(acc * self._scale).clamp_(self.lo, self.hi).to(torch.float32)

    def _convolved(self, a: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """The sums on a CPU. Its convolutions are slow at as few positions as a wave has."""
        if self.kernel > 1:
            return F.conv2d(a, weight, bias, padding=self.kernel // 2)
        return F.linear(a.movedim(1, -1), weight.flatten(1), bias).movedim(-1, 1)

    def _matmul(self, a: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """The same sums as one matrix product: GPU convolutions may use inexact algorithms."""
        batch, _, height, width = a.shape
        columns = F.unfold(a, self.kernel, padding=self.kernel // 2)
        with torch.autocast(a.device.type, enabled=False):
            acc = weight.flatten(1).double() @ columns.double()
        return acc.view(batch, -1, height, width).to(weight.dtype) + bias[:, None, None]
