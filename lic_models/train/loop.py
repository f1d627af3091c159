"""The training loop: time-boxed, resumable, averaged weights, one CSV row now and then."""

from __future__ import annotations

import csv
import math
import os
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.progress import Progress
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ..atomic import replacing
from ..distortions import TUNES
from ..integer import anchor_shares
from ..levels import LEVEL_MAX, LEVEL_MIN
from .adversarial import AdversarialObjective
from .checkpoints import adopt, read
from .data import Photos
from .muon import Muon
from .objective import RESTORING, TRANSFORMS, Objective
from .passes import Passes, Recorded
from .replay import Replay
from .revive import share_alive

__all__ = ["Diverged", "OtherOptions", "Settings", "evaluate", "fit"]

SOAP_MOST = 520  # channels that SOAP finds a basis for; with more, that side stays as it is
CRITIC = 0.3  # factor on the learning rate for the discriminator
FIXED = ("entropy", "chain", "soap", "muon")  # settings that the state of the optimisers depends on
Drawn = tuple[Tensor, Tensor]  # images (B, 3, H, W), or their y, and their levels (B,)
PATIENCE = 100  # steps without a finite gradient before a run is given up
EVALUATE_AT = (500, 2500, 5000, 7500, 10000)  # levels


class OtherOptions(ValueError):
    """A run was resumed with options that do not go with its checkpoint."""


class Diverged(ArithmeticError):
    """Gradients have been infinite, or no numbers, for so long that they will stay so."""


@dataclass(frozen=True)
class Settings:
    """One run.

    minutes: budget of this stage, over all resumes; the schedule is laid over it.
    rate: peak learning rate; entropy, chain: factors on it for all but the transforms and for the
        strided convolutions of the transforms, and residual prediction.
    batch: crops per step and process; clip: gradient norm.
    hold: share of the budget before the cosine decay; warmup: steps.
    average: decay of the exponential moving average of the weights, shorter at first: it is at
        least (1 + n) / (10 + n) after n steps short of this, which it reaches at 4,490.
    soap: whether the transforms' convolutions take steps of SOAP (Vyas et al., 2024) instead of
        Adam's: a sixth (GDN) to a third (cheng2020) more time each, and more learned from it.
    muon: the same with steps of Muon, which are cheaper.
    loose: share of the budget, from its beginning, in which integer layers do not round.
    recorded: whether passes, and steps but those of SOAP, run as CUDA graphs.
    every: minutes between evaluations and checkpoints.
    """

    minutes: float
    rate: float = 1e-3
    entropy: float = 4.0
    chain: float = 0.1
    batch: int = 8
    clip: float = 1.0
    hold: float = 0.3
    warmup: int = 200
    average: float = 0.998
    soap: bool = False
    muon: bool = False
    loose: float = 0.0
    recorded: bool = False
    every: float = 5.0
    seed: int = 0


def _scale(settings: Settings, step: int, progress: float) -> float:
    """Learning-rate factor: warm-up in steps, then flat, then a cosine to 1 %."""
    late = max(0.0, (progress - settings.hold) / (1 - settings.hold))
    cosine = 0.01 + 0.99 * (1 + math.cos(math.pi * min(late, 1.0))) / 2
    return min(1.0, (step + 1) / settings.warmup) * cosine


@torch.no_grad()
def evaluate(objective: Objective, images: list[Tensor]) -> dict[str, float]:
    """Mean bpp and decibels over images (1, 3, H, W) at a few levels, rounded values.

    Decibels are PSNR, or of what is left to an MS-SSIM of 1.
    """
    objective.eval()
    row: dict[str, float] = {}
    shapes = sorted({tuple(x.shape) for x in images})
    batches = [torch.cat([x for x in images if x.shape == shape]) for shape in shapes]
    for level in EVALUATE_AT:
        bpp, decibels = [], []
        for x in batches:
            levels = torch.full((len(x),), float(level), device=x.device)
            out = objective(x, levels, noise=False)
            bpp += out["bpp"].tolist()
            share = out["distortion"] / TUNES[objective.tune].whole
            decibels += (-10 * share.log10()).tolist()
        row[f"bpp{level}"] = float(np.mean(bpp))
        row[f"{objective.tune}{level}"] = float(np.mean(decibels))
    objective.train()
    return row


def _optimizers(objective: Objective, settings: Settings) -> list[torch.optim.Optimizer]:
    """Optimisers of all parameters, in groups with a factor on the learning rate each.

    Strided convolutions start as an orthonormal transform and its inverse: noise in any of them
    disturbs every pixel, which high qualities feel first, while residual branches start at zero
    and have everything to learn. So the chain takes smaller steps.
    """
    adam: dict[float, list[nn.Parameter]] = {}
    matrices: dict[float, list[nn.Parameter]] = {}
    for name, parameter in objective.model.named_parameters():
        part = name.partition(".")[0]
        transform = part in (*TRANSFORMS, RESTORING)
        chained = settings.chain if ".convs." in name or part == RESTORING else 1.0
        factor = chained if transform else settings.entropy
        if parameter.requires_grad:
            matrix = (settings.soap or settings.muon) and transform and parameter.ndim == 4
            (matrices if matrix else adam).setdefault(factor, []).append(parameter)
    found: list[torch.optim.Optimizer] = [
        torch.optim.AdamW(
            _groups(adam),
            betas=(0.9, 0.99),
            weight_decay=0.0,
            fused=True,
            capturable=settings.recorded,
        )
    ]
    if matrices and settings.muon:
        found.append(Muon(_groups(matrices)))
    elif matrices:
        from pytorch_optimizer import SOAP  # only where asked for: bare machines lack it

        found.append(
            SOAP(
                _groups(matrices),
                betas=(0.95, 0.95),
                weight_decay=0.0,
                precondition_frequency=10,
                max_precondition_dim=SOAP_MOST,
            )
        )
    return found


def _groups(parameters: dict[float, list[nn.Parameter]]) -> list[dict[str, Any]]:
    return [{"params": params, "factor": factor} for factor, params in parameters.items()]


def _set(optimizer: torch.optim.Optimizer, rate: float, recorded: bool) -> None:
    """Set learning rates, where a recording sees them if it has to."""
    for group in optimizer.param_groups:
        value = rate * group["factor"]
        device = group["params"][0].device
        if not recorded:
            group["lr"] = value
        elif isinstance(group["lr"], Tensor) and group["lr"].device == device:
            group["lr"].fill_(value)
        else:
            group["lr"] = torch.tensor(value, device=device)


class _Critic:
    """The discriminator's side of adversarial training."""

    def __init__(self, objective: AdversarialObjective, settings: Settings) -> None:
        self.objective = objective
        self.optimizer = torch.optim.AdamW(
            objective.discriminator.parameters(), CRITIC * settings.rate, betas=(0.5, 0.9)
        )

    def learn(self, x: Tensor, out: dict[str, Tensor], rate: float) -> None:
        """Take one step on images and what the codec made of them."""
        for group in self.optimizer.param_groups:
            group["lr"] = CRITIC * rate
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(self.objective.judge(x, out))
        self.optimizer.step()

    def state_dict(self) -> dict[str, Any]:
        return {
            "weights": self.objective.discriminator.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.objective.discriminator.load_state_dict(state["weights"])
        self.optimizer.load_state_dict(state["optimizer"])


def _average(decay: float) -> Callable[[Any, Any, Any], None]:
    """Update of the weights' average: short at first, or it would long remember the start."""

    def update(averages: Any, weights: Any, updates: Any) -> None:
        n = float(updates)
        short = get_ema_multi_avg_fn(min(decay, (1 + n) / (10 + n)))  # type: ignore[no-untyped-call]
        short(averages, weights, updates)

    return update


class _Run:
    """State of one stage that a checkpoint holds."""

    def __init__(self, objective: Objective, settings: Settings) -> None:
        self.objective, self.settings = objective, settings
        self.optimizers = _optimizers(objective, settings)
        average = _average(settings.average)
        self.critic: _Critic | None = None
        if isinstance(objective, AdversarialObjective):
            self.critic = _Critic(objective, settings)
        self.ema = AveragedModel(objective, multi_avg_fn=average)
        self.ema.n_averaged = self.ema.n_averaged.cpu()  # to look at it would mean to wait
        self.passes: Callable[..., dict[str, Tensor]] | None = None
        self.advance: Callable[[], None] = self._advance
        self.step, self.elapsed = 0, 0.0
        self.losses: list[float] = []  # since the last log row
        self.norms: list[float] = []
        self.lost = 0  # steps since the last finite gradient

    def _advance(self) -> None:
        for optimizer in self.optimizers:
            optimizer.step()

    def _begin(self, forward: nn.Module, loose: bool) -> None:
        """Set up passes, and record anew what was recorded of others."""
        self.objective.loosen(loose)
        self.passes = Passes(self.objective, forward, self.settings.clip)
        if self.settings.recorded:
            self.passes = Recorded(self.passes)
            if not self.settings.soap:
                self.advance = Recorded(self._advance)  # reads gradients where passes leave them

    def learn(self, forward: nn.Module, drawn: Drawn, draw: Callable[[], Drawn]) -> Drawn:
        """Take one step on what was drawn; a non-finite gradient is skipped.

        Returns what is drawn for the next, while the device is at work.
        """
        progress = self.elapsed / (self.settings.minutes * 60)
        loose = progress < self.settings.loose
        if self.passes is None or loose != self.objective.loose:
            self._begin(forward, loose)
        assert self.passes is not None
        out = self.passes(*drawn)
        self.ema.update_parameters(self.objective)  # a step late, while the device is at work
        following = draw()
        loss, norm = torch.stack([out["loss"].detach(), out["norm"]]).tolist()
        self.lost = 0 if math.isfinite(norm) else self.lost + 1
        if self.lost >= PATIENCE:
            raise Diverged(f"gradients: found none that is finite in {PATIENCE} steps")
        if not self.lost:
            rate = self.settings.rate * _scale(self.settings, self.step, progress)
            for optimizer in self.optimizers:
                _set(optimizer, rate, self.settings.recorded)
            self.advance()
            self.losses.append(loss)
            self.norms.append(norm)
            if self.critic is not None:
                self.critic.learn(drawn[0], out, rate)
        self.step += 1
        return following

    def log(self, held_out: list[Tensor], path: Path) -> None:
        """Append a row of figures to a CSV file."""
        row = {
            "step": self.step,
            "minutes": round(self.elapsed / 60, 2),
            "loss": float(np.mean(self.losses or [math.nan])),
            "norm": float(np.mean(self.norms or [math.nan])),
            **evaluate(self.averaged, held_out),
            "alive": share_alive(self.averaged.model, held_out),
        }
        self.losses, self.norms = [], []
        fresh = not path.exists()
        with path.open("a", newline="") as file:
            writer = csv.DictWriter(file, list(row))
            if fresh:
                writer.writeheader()
            writer.writerow({k: f"{v:.5g}" for k, v in row.items()})

    @property
    def averaged(self) -> Objective:
        assert isinstance(self.ema.module, Objective)
        return self.ema.module

    def save(self, path: Path) -> None:
        state = {
            "model": self.objective.model.state_dict(),
            "average": self.averaged.model.state_dict(),
            "averaged": self.ema.n_averaged,
            "optimizers": [each.state_dict() for each in self.optimizers],
            "step": self.step,
            "elapsed": self.elapsed,
            "options": self.options(),
        }
        if self.critic is not None:
            state["critic"] = self.critic.state_dict()
        try:
            with replacing(path) as part:
                torch.save(state, part)
        except RuntimeError as error:  # how torch reports a full disk
            raise OSError(f"{path}: {error}") from error

    def options(self) -> dict[str, Any]:
        """What a run cannot change on its way."""
        return {
            "model": self.objective.model.name,
            "objective": type(self.objective).__name__,
            "tune": self.objective.tune,
            "only": self.objective.only,
            **{name: getattr(self.settings, name) for name in FIXED},
        }

    def load(self, path: Path) -> None:
        """Go on from a checkpoint; raises OtherOptions if it is not of a run of this kind."""
        try:
            state = read(path)
        except ValueError as error:
            raise OtherOptions(str(error)) from error
        if missing := {"model", "averaged", "optimizers", "step", "elapsed"} - state.keys():
            raise OtherOptions(f"{path}: found a checkpoint without {', '.join(sorted(missing))}")
        before = state.get("options", {})
        for name, value in self.options().items():
            if before.get(name, value) != value:
                raise OtherOptions(f"{name}: found {value}, allowed to go on is {before[name]}")
        try:
            adopt(self.objective.model, state["model"], path)
        except ValueError as error:
            raise OtherOptions(str(error)) from error
        self.averaged.model.load_state_dict(state["average"])
        self.ema.n_averaged.copy_(state["averaged"])  # at 0 the average would start afresh
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
            for group in optimizer.param_groups:
                if "capturable" in group:  # saved too, but of no concern to the run before
                    group["capturable"] = self.settings.recorded
        self.step, self.elapsed = state["step"], state["elapsed"]
        if self.critic is not None:
            self.critic.load_state_dict(state["critic"])


def fit(
    objective: Objective, photos: Photos, held_out: list[Tensor], settings: Settings, folder: Path
) -> Path:
    """Train until the time is up; returns the checkpoint in a folder. Resumes if it has one.

    Raises OtherOptions if that was of another kind or is no checkpoint, Diverged, and OSError if
    the last checkpoint cannot be written.
    """
    world, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    if world > 1 and isinstance(objective, AdversarialObjective):
        raise ValueError(f"adversarial training: found {world} processes, allowed is 1")
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint = folder / "checkpoint.pt"
    run = _Run(objective, settings)
    if checkpoint.exists():
        run.load(checkpoint)
    device = held_out[0].device
    parallel = nn.parallel.DistributedDataParallel
    forward: nn.Module = parallel(objective) if world > 1 else objective
    random = np.random.default_rng((settings.seed, rank, run.step))
    torch.manual_seed(settings.seed + run.step * world + rank)
    budget = settings.minutes * 60
    if rank == 0 and run.elapsed >= budget:
        done = f"{run.elapsed / 60:.3g} minutes are done"
        warnings.warn(f"minutes: found {settings.minutes:g}, but {done}", stacklevel=2)
    last = time.monotonic()
    began = last - run.elapsed

    def draw() -> Drawn:
        x = photos.batch(settings.batch, random).contiguous(memory_format=torch.channels_last)
        levels = _levels(settings.batch, random)
        if device.type == "cuda":
            levels = levels.pin_memory()  # or copying would wait for all that goes before
        return x, levels.to(device, non_blocking=True)

    @torch.no_grad()
    def analysed() -> Drawn:
        x, levels = draw()
        return objective.analyse(x, anchor_shares(levels)), levels

    following = Replay(analysed, random) if objective.brief else draw
    drawn = following()
    with Progress(disable=rank > 0) as bar, _saved(run, checkpoint, rank):
        task = bar.add_task("training", total=budget, completed=int(run.elapsed))
        while run.elapsed < budget:
            drawn = run.learn(forward, drawn, following)
            run.elapsed = _agreed(time.monotonic() - began, device, world)
            bar.update(task, completed=run.elapsed)
            due = run.elapsed >= budget or time.monotonic() - last > settings.every * 60
            if rank == 0 and due:
                try:
                    run.save(checkpoint)
                except OSError as error:
                    if run.elapsed >= budget:
                        raise
                    warnings.warn(f"checkpoint: {error}; it is tried again later", stacklevel=2)
                run.log(held_out, folder / "log.csv")
                last = time.monotonic()  # sequential models take a while
    return checkpoint


@contextmanager
def _saved(run: _Run, checkpoint: Path, rank: int) -> Iterator[None]:
    """Lose nothing to who interrupts or, as schedulers do, terminates."""
    owner = threading.current_thread() is threading.main_thread()  # others get no signals
    before = signal.signal(signal.SIGTERM, signal.default_int_handler) if owner else None
    try:
        yield
    except KeyboardInterrupt:
        if rank == 0:
            run.save(checkpoint)
        raise
    finally:
        if owner:
            signal.signal(signal.SIGTERM, before or signal.SIG_DFL)


def _agreed(elapsed: float, device: torch.device, world: int) -> float:
    """Rank 0's clock for everyone: processes that stop at different steps would hang."""
    if world == 1:
        return elapsed
    clock = torch.tensor([elapsed], device=device)
    torch.distributed.broadcast(clock, 0)
    return float(clock)


def _levels(batch: int, random: np.random.Generator) -> Tensor:
    """Levels (batch,), uniform, stratified over the batch so that each step sees the range."""
    share = (np.arange(batch) + random.random(batch)) / batch
    return torch.from_numpy(LEVEL_MIN + (LEVEL_MAX - LEVEL_MIN) * share).float()
