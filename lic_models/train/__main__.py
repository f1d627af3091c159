"""Command line of training: one command per stage.

python -m lic_models.train fit elic --data photos/ --out runs/elic --minutes 120
python -m lic_models.train export elic runs/elic/checkpoint.pt --folder my-weights
torchrun --nproc-per-node 4 -m -- lic_models.train fit elic ...      several GPUs
(the bare -- keeps torchrun from taking --start for an option of its own)
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer

from .. import registry, tunes, weights
from ..atomic import replacing
from ..channelnorm import ChannelNorm
from ..device import choose
from ..gdn import GDN
from ..layers import Attention, Branch, Residuals
from ..photos import find
from ..refusals import refusing
from ..tunes import PLAIN
from . import checkpoints as files
from .adversarial import AdversarialObjective
from .data import Photos, readable
from .imitation import ImitationObjective
from .loop import Diverged, OtherOptions, Settings, fit
from .objective import ONLY, Objective
from .start import begin, teacher_of

app = typer.Typer(add_completion=False, no_args_is_help=True, help=__doc__)

BLOCKS = (Attention, Branch, ChannelNorm, GDN, Residuals)  # what compiling pays for
HELD_OUT = 8  # photos that are never trained on, for the log's figures


def _device(name: str) -> torch.device:
    if name == "auto":
        name = f"cuda:{os.environ.get('LOCAL_RANK', 0)}" if torch.cuda.is_available() else "cpu"
    with refusing():
        found = choose(name)
    return found


def _class(model: str) -> type[Any]:
    with refusing():
        found = registry.lookup(model)
    return found


def _known(tune: str | None) -> str | None:
    with refusing():
        found = None if tune is None else tunes.known(tune)
    return found


_Tune = typer.Option(callback=_known, help="What weights are for: psnr or ms-ssim.")


@app.command("fit")
def fit_command(
    model: Annotated[str, typer.Argument(help="A registered model name.")],
    data: Annotated[list[Path], typer.Option(help="Folder of photos; may be given again.")],
    out: Annotated[Path, typer.Option(help="Folder for the checkpoint and log.csv.")],
    minutes: Annotated[float, typer.Option(min=0.01, help="Budget of the stage.")],
    start: Annotated[
        Path | None, typer.Option(help="Checkpoint or weights file to go on from.")
    ] = None,
    transforms: Annotated[
        Path | None, typer.Option(help="The same, for the transforms; with --start, in its place.")
    ] = None,
    fitting: Annotated[
        bool, typer.Option(help="With --transforms: instead all of the same name and shape.")
    ] = False,
    reorder: Annotated[
        bool, typer.Option(help="With --transforms, of GDN: share out strong channels of y.")
    ] = False,
    hyperprior: Annotated[
        Path | None,
        typer.Option(help="Such a file of a model without contexts, for its hyperprior alone."),
    ] = None,
    revive: Annotated[
        bool, typer.Option(help="New weights for units whose ReLU has died.")
    ] = False,
    teacher: Annotated[
        str | None, typer.Option(help="Model whose installed weights to imitate stage by stage.")
    ] = None,
    only: Annotated[
        str | None,
        typer.Option(help="rate: train all but the transforms; distortion: only the synthesis."),
    ] = None,
    tune: Annotated[str, _Tune] = PLAIN,
    adversarial: Annotated[bool, typer.Option(help="Against a discriminator, as HiFiC.")] = False,
    precise: Annotated[
        bool, typer.Option(help="float32 throughout: for high qualities, and old processors.")
    ] = False,
    compiled: Annotated[
        bool, typer.Option("--compile", help="Compile blocks, which needs a C++ compiler: faster.")
    ] = False,
    soap: Annotated[
        bool, typer.Option("--soap", help="SOAP instead of Adam for the transforms' convolutions.")
    ] = False,
    muon: Annotated[bool, typer.Option("--muon", help="Muon, for the same.")] = False,
    recorded: Annotated[
        bool, typer.Option("--recorded", help="Run steps as CUDA graphs, which GPUs like.")
    ] = False,
    loose: Annotated[
        float,
        typer.Option(min=0, max=1, help="Share of the budget before integer layers round."),
    ] = Settings.loose,
    batch: Annotated[int, typer.Option(min=1, help="Crops per step and process.")] = Settings.batch,
    patch: Annotated[int, typer.Option(min=64, help="Edge of a crop, multiple of 64.")] = 192,
    rate: Annotated[float, typer.Option(min=0, help="Peak learning rate.")] = Settings.rate,
    entropy: Annotated[
        float, typer.Option(min=0, help="Factor for all but the transforms.")
    ] = Settings.entropy,
    chain: Annotated[
        float, typer.Option(min=0, help="Factor for strided convolutions, lrp.")
    ] = Settings.chain,
    every: Annotated[
        float, typer.Option(min=0.01, help="Minutes between checkpoints.")
    ] = Settings.every,
    threads: Annotated[int, typer.Option(min=0, help="CPU threads; 0 for all.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, ...")] = "auto",
    seed: Annotated[
        int, typer.Option(min=0, help="Of crops, levels and the start.")
    ] = Settings.seed,
) -> None:
    """Train a model, or go on where the folder's checkpoint stopped."""
    if patch % 64:
        raise typer.BadParameter(f"found {patch}, allowed are multiples of 64", param_hint="patch")
    if teacher is not None and (start is not None or transforms is not None):
        raise typer.BadParameter(
            "found several, allowed is one alone", param_hint="start or transforms, teacher"
        )
    if only not in (None, *ONLY):
        raise typer.BadParameter(
            f"found {only!r}, allowed are {', '.join(ONLY)}", param_hint="only"
        )
    if sum((teacher is not None, adversarial, only == "rate")) > 1 or (teacher and only):
        raise typer.BadParameter(
            "found several, allowed is one, or --adversarial with --only distortion",
            param_hint="teacher, adversarial, only",
        )
    if tune != PLAIN and (adversarial or teacher is not None):
        raise typer.BadParameter(
            f"found {tune!r}, allowed is {PLAIN!r}", param_hint="tune with teacher or adversarial"
        )
    if soap and muon:
        raise typer.BadParameter("found both, allowed is one", param_hint="soap, muon")
    where = _device(device)
    parallel = int(os.environ.get("WORLD_SIZE", "1")) > 1
    if recorded and (where.type != "cuda" or parallel or adversarial):
        raise typer.BadParameter(
            f"found {where.type}, allowed is one GPU, without --adversarial", param_hint="recorded"
        )
    if parallel and adversarial:
        raise typer.BadParameter(
            "found several processes, allowed is one", param_hint="adversarial"
        )
    if (fitting or reorder) and transforms is None:
        raise typer.BadParameter(
            "found without --transforms, allowed is with it", param_hint="fitting, reorder"
        )
    if (fitting or reorder) and start is not None:
        raise typer.BadParameter(
            "found with --start, allowed is without", param_hint="fitting, reorder"
        )
    cls = _class(model)
    with refusing("out"):
        out.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=out).close()  # before the first checkpoint is due
    if threads:
        torch.set_num_threads(threads)
    torch.backends.cudnn.allow_tf32 = False  # integers need more, and so does what is precise
    torch.set_flush_denormal(True)  # GDN squares what is small: a fifth of a step of cheng2020
    if parallel:
        torch.distributed.init_process_group()
    torch.backends.cudnn.benchmark = True
    torch.manual_seed(seed)
    with refusing("data"):
        paths = find(data)
        held = paths[:: max(2, len(paths) // HELD_OUT)][:HELD_OUT]
        photos = Photos([p for p in paths if p not in held], patch, where)
        crops = [_middle(readable(p), 384).to(where) for p in held]
        crops = [crop for crop in crops if crop.numel()]
        if not crops:
            raise ValueError(
                f"data: found no photo of at least 64 x 64 pixels in {len(held)} held out"
            )
    network = cls(cls.configure()).to(where)
    with refusing():
        weights.storable(network)  # before hours of training
    taught = None if teacher is None else teacher_of(teacher).to(where)
    begin(
        network,
        lambda: photos.batch(64, np.random.default_rng(seed)),
        start,
        transforms,
        fitting,
        reorder,
        hyperprior,
        revive,
        taught,
    )
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if compiled:
        torch._dynamo.config.cache_size_limit = 64  # a block is compiled for each of its shapes
        for module in network.modules():
            if isinstance(module, BLOCKS):
                module.compile()
    settings = Settings(
        minutes=minutes,
        rate=rate,
        entropy=entropy,
        chain=chain,
        batch=batch,
        every=every,
        soap=soap,
        muon=muon,
        loose=loose,
        recorded=recorded,
        seed=seed,
    )
    if taught is not None:
        with refusing("teacher"):
            objective: Objective = ImitationObjective(network, taught, precise)
    elif adversarial:
        objective = AdversarialObjective(network, only, precise)
    else:
        objective = Objective(network, only, precise, tune)
    try:
        fit(objective.to(where), photos, crops, settings, out)
    except OtherOptions as error:
        raise typer.BadParameter(str(error), param_hint="out") from error
    except Diverged as error:
        raise typer.BadParameter(f"{error}; allowed are lower ones", param_hint="rate") from error
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


@app.command()
def average(
    out: Annotated[Path, typer.Argument(help="Checkpoint to write.")],
    checkpoints: Annotated[list[Path], typer.Argument(help="Two or more checkpoints of `fit`.")],
) -> None:
    """Write the mean of checkpoints of one model, whose runs began alike but for their seeds.

    What they learned stays, and the noise of either goes (Wortsman et al., 2022).
    """
    with refusing("CHECKPOINTS"):
        states = [files.read(each) for each in checkpoints]
    shapes = [{name: tuple(t.shape) for name, t in state["average"].items()} for state in states]
    options = [state.get("options", {}) for state in states]
    kinds = [[each.get(name) for name in ("model", "tune")] for each in options]
    if len(states) < 2 or any(each != found[0] for found in (shapes, kinds) for each in found):
        raise typer.BadParameter(
            f"found {len(states)}, allowed are two or more of one model and tune",
            param_hint="CHECKPOINTS",
        )
    mean = {
        name: torch.stack([state["average"][name].double() for state in states]).mean(0).to(t.dtype)
        for name, t in states[0]["average"].items()
    }
    spent = {key: sum(state[key] for state in states) for key in ("step", "elapsed")}
    with refusing("OUT"), replacing(out) as part:
        part.touch()  # torch has no OSError where a folder is missing
        torch.save({"average": mean, **spent, "options": options[0]}, part)


@app.command()
def export(
    model: Annotated[str, typer.Argument(help="A registered model name.")],
    checkpoint: Annotated[Path, typer.Argument(help="A checkpoint of `fit`.")],
    folder: Annotated[
        Path, typer.Option(help="Where to write the weights, found by LIC_WEIGHTS_PATH later.")
    ],
    generation: Annotated[
        int | None,
        typer.Option(min=1, help="The highest is used; by default one more than is installed."),
    ] = None,
    notes: Annotated[str, typer.Option(help="How they were made; kept in the file.")] = "",
    tune: Annotated[str | None, _Tune] = None,
    digits: Annotated[
        int, typer.Option(min=4, max=10, help="Binary ones of 16-bit floats; 4 pack best.")
    ] = 10,
) -> None:
    """Write the averaged weights of a checkpoint as integers and 16-bit floats.

    They are for what they were trained for, which is all that --tune can say.
    """
    cls = _class(model)
    network = cls(cls.configure())
    with refusing("CHECKPOINT"):
        state = files.read(checkpoint)
        files.adopt(network, state["average"], checkpoint)
    trained = state.get("options", {}).get("tune", tune or PLAIN)
    if tune not in (None, trained):
        raise typer.BadParameter(f"found {tune}, allowed is {trained}", param_hint="tune")
    history = f"{state['step']} steps in {state['elapsed'] / 60:.0f} minutes. {notes}".strip()
    if digits < 10:
        weights.shorten(network, digits)
    if generation is None:
        before = [f.generation for f in weights.installed(model, folder) if f.tune == trained]
        generation = max(before, default=0) + 1
    told = {"notes": history}
    with refusing():
        found = weights.export(network, folder, generation=generation, notes=told, tune=trained)
    typer.echo(f"{found.path} {found.path.stat().st_size} bytes")


def _middle(image: torch.Tensor, most: int) -> torch.Tensor:
    """Centre crop of uint8 (3, H, W), multiples of 64 up to `most`, as float (1, 3, h, w)."""
    height, width = (min(most, n // 64 * 64) for n in image.shape[1:])
    top, left = (image.shape[1] - height) // 2, (image.shape[2] - width) // 2
    return image[None, :, top : top + height, left : left + width].float() / 255


if __name__ == "__main__":
    app()
