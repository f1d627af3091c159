"""Training from photos to weights that code an image, on a few tiny steps."""

from __future__ import annotations

import csv
import itertools
import math
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from commands import run as command
from PIL import Image, features

import lic_models
from lic_models import registry, weights
from lic_models.integer import anchor_shares
from lic_models.levels import LEVEL_MAX, LEVEL_MIN
from lic_models.photos import find
from lic_models.train import data, replay
from lic_models.train.__main__ import app
from lic_models.train.data import Photos
from lic_models.train.linear import arrange, fits, linear_start, reordered
from lic_models.train.loop import Settings, _average, _Run, evaluate
from lic_models.train.muon import Muon, orthogonal
from lic_models.train.objective import SYNTHESIS, TRANSFORMS, Objective
from lic_models.train.passes import Passes, Recorded


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five pictures of smooth random texture."""
    folder = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(0)
    for i in range(5):
        small = random.integers(0, 256, (12, 16, 3), dtype=np.uint8)
        Image.fromarray(small).resize((200, 150), Image.Resampling.BICUBIC).save(
            folder / f"{i}.png"
        )
    return folder


def run(*arguments: object) -> str:
    return command(*arguments, of=app).output


def refusal(*arguments: object) -> str:
    """What a command that cannot be says, as one line."""
    output = command(*arguments, code=2, of=app).output
    return " ".join(output.replace("│", " ").split())


def state(checkpoint: Path) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = torch.load(checkpoint, weights_only=True)["average"]
    return found


@pytest.mark.parametrize("options", [(), ("--soap",), ("--muon",)])
def test_fit_resume_export_code(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
):
    common = ("fit", "tiny", "--data", photos, "--out", tmp_path / "run", "--patch", 64, *options)
    run(*common, "--minutes", 0.02, "--batch", 2, "--every", 0.01)
    checkpoint = tmp_path / "run" / "checkpoint.pt"
    first = torch.load(checkpoint, weights_only=True)
    run(*common, "--minutes", first["elapsed"] / 60 + 0.02, "--batch", 2)
    second = torch.load(checkpoint, weights_only=True)
    assert 0 < first["step"] < second["step"]
    assert first["elapsed"] < second["elapsed"]
    assert first["averaged"] < second["averaged"]
    assert len(second["optimizers"]) == 1 + len(options)
    with (tmp_path / "run" / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) >= 2
    assert float(rows[0]["psnr500"]) < float(rows[0]["psnr10000"])
    run("export", "tiny", checkpoint, "--folder", tmp_path / "weights", "--generation", 99)
    monkeypatch.setenv("LIC_WEIGHTS_PATH", str(tmp_path / "weights"))
    codec = lic_models.load("tiny", device="cpu")
    (file,) = (tmp_path / "weights").iterdir()
    assert codec.fingerprint.hex() in file.name
    x = torch.rand(3, 64, 64)
    assert codec.decode(codec.encode(x, 50)).shape == (1, 3, 64, 64)


def test_resuming_with_other_options(photos: Path, tmp_path: Path):
    """What the state of the optimisers depends on stays; how long, how fast and what on may not."""
    common = ("fit", "tiny", "--data", photos, "--out", tmp_path, "--patch", 64, "--batch", 1)
    run(*common, "--minutes", 0.01)
    spent = torch.load(tmp_path / "checkpoint.pt", weights_only=True)["elapsed"] / 60
    more = ("--minutes", spent + 0.02, "--rate", 1e-4, "--seed", 3)
    run(*common, *more)
    for option, found in (
        (("--entropy", 9), "entropy: found 9.0, allowed to go on is 4.0"),
        (("--tune", "ms-ssim"), "tune: found ms-ssim"),
        (("--only", "rate"), "only: found rate"),
        (("--soap",), "soap: found True"),
        (("--muon",), "muon: found True"),
        (("--adversarial",), "objective: found AdversarialObjective"),
    ):
        assert found in refusal(*common, *more, *option)


def test_who_interrupts_loses_nothing(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    plain, calls = _Run.learn, []

    def interrupted(self: _Run, *arguments: Any) -> Any:
        if len(calls) == 2:
            raise KeyboardInterrupt
        calls.append(plain(self, *arguments))
        return calls[-1]

    monkeypatch.setattr(_Run, "learn", interrupted)
    before = signal.getsignal(signal.SIGTERM)
    common = ("fit", "tiny", "--data", photos, "--out", tmp_path, "--patch", 64, "--batch", 1)
    assert command(*common, "--minutes", 5, code=None, of=app).exit_code
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["step"] == 2
    assert signal.getsignal(signal.SIGTERM) is before


def test_who_terminates_loses_nothing(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """As schedulers do."""
    plain = _Run.learn

    def terminated(self: _Run, *arguments: Any) -> Any:
        if self.step == 2:
            signal.raise_signal(signal.SIGTERM)
        return plain(self, *arguments)

    monkeypatch.setattr(_Run, "learn", terminated)
    common = ("fit", "tiny", "--data", photos, "--out", tmp_path, "--patch", 64, "--batch", 1)
    assert command(*common, "--minutes", 5, code=None, of=app).exit_code
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["step"] == 2


def test_a_disk_that_is_full_for_a_while_ends_no_run(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    plain, calls = torch.save, []

    def full(state: object, path: Path) -> None:
        calls.append(path)
        if len(calls) == 1:
            raise RuntimeError("unexpected pos 587712")
        plain(state, path)

    monkeypatch.setattr(torch, "save", full)
    common = ("fit", "tiny", "--data", photos, "--out", tmp_path, "--patch", 64, "--batch", 1)
    with pytest.warns(UserWarning, match="checkpoint.pt: unexpected pos"):
        run(*common, "--minutes", 0.02, "--every", 0.01)
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["step"]


def test_runs_that_diverge_are_given_up(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("lic_models.train.loop.PATIENCE", 3)
    common = ("fit", "tiny", "--data", photos, "--out", tmp_path, "--patch", 64, "--batch", 1)
    assert "none that is finite in 3 steps" in refusal(*common, "--minutes", 5, "--rate", 1e30)


@pytest.mark.parametrize("content", ["hello", "that the quick brown fox"])
def test_what_is_no_checkpoint_is_told(photos: Path, tmp_path: Path, content: str):
    (tmp_path / "checkpoint.pt").write_text(content)
    common = ("fit", "tiny", "--data", photos, "--minutes", 1, "--patch", 64, "--out")
    assert "found no checkpoint of `fit`" in refusal(*common, tmp_path)
    options = "--start", tmp_path / "checkpoint.pt"
    assert "found no checkpoint of `fit`" in refusal(*common, tmp_path / "new", *options)
    wrong = "export", "tiny", tmp_path / "checkpoint.pt", "--folder", tmp_path
    assert "found no checkpoint of `fit`" in refusal(*wrong)
    torch.save({"average": {}}, tmp_path / "checkpoint.pt")
    assert "checkpoint without averaged" in refusal(*common, tmp_path)


def test_transforms_of_others_are_told(photos: Path, tmp_path: Path):
    common = ("fit", "balle2018", "--data", photos, "--minutes", 1, "--patch", 64)
    other = weights.find("tiny").path
    found = refusal(*common, "--out", tmp_path, "--transforms", other)
    assert "balle2018 does not have: see --fitting" in found


def test_folders_by_several_names_are_one(photos: Path, tmp_path: Path):
    (tmp_path / "link").symlink_to(photos)
    assert len(find([photos, photos / ".." / photos.name, tmp_path / "link"])) == 5


def test_a_full_disk_leaves_no_half_checkpoint(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def full(state: object, path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(torch, "save", full)
    common = ("fit", "tiny", "--data", photos, "--out", tmp_path, "--patch", 64, "--batch", 1)
    assert command(*common, "--minutes", 0.01, code=None, of=app).exit_code
    assert [path.name for path in tmp_path.iterdir() if "checkpoint" in path.name] == []


def test_photos_of_all_kinds(tmp_path: Path):
    """What is no photo is left out by name; 16 bits are not taken for white."""
    ramp = np.linspace(0, 65535, 64 * 64).round().reshape(64, 64)
    Image.fromarray(ramp.astype(np.uint16)).save(tmp_path / "deep.png")
    Image.fromarray((ramp / 65535).astype(np.float32)).save(tmp_path / "float.tif")
    whole = (tmp_path / "deep.png").read_bytes()
    (tmp_path / "half.png").write_bytes(whole[: len(whole) // 2])
    if features.check("avif"):  # whose errors are others
        Image.new("RGB", (80, 80), "red").save(tmp_path / "hurt.avif")
        avif = bytearray((tmp_path / "hurt.avif").read_bytes())
        at = avif.index(b"mdat") + 4
        avif[at:] = bytes(len(avif) - at)
        (tmp_path / "hurt.avif").write_bytes(avif)
    pixels = data.read(tmp_path / "deep.png")
    assert np.abs(pixels[0].numpy() - ramp / 257).max() <= 0.5
    with pytest.warns(UserWarning, match="left out") as warned:
        found = Photos(find([tmp_path]), 64, torch.device("cpu"))
    assert len(found.photos) == 1
    names = {Path(str(w.message).split(": ")[1]).name for w in warned}
    assert names - {"hurt.avif"} == {"float.tif", "half.png"}
    assert ("hurt.avif" in names) == features.check("avif")


def test_too_few_photos(tmp_path: Path):
    Image.new("RGB", (100, 100)).save(tmp_path / "a.png")
    common = ("fit", "tiny", "--out", tmp_path, "--patch", 64, "--minutes", 1, "--data")
    assert "found no photo" in refusal(*common, tmp_path)
    Image.new("RGB", (63, 100)).save(tmp_path / "0.png")
    assert "in 1 held out" in refusal(*common, tmp_path)
    assert "No such file" in refusal(*common, tmp_path / "none")
    (tmp_path / "none").mkdir()
    assert "found no images" in refusal(*common, tmp_path / "none")
    assert "known are" in refusal("fit", "eliic", *common[2:], tmp_path)


def test_the_mean_of_runs(tmp_path: Path):
    paths = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        model = registry.lookup("tiny")(registry.lookup("tiny").configure())
        paths.append(tmp_path / f"{seed}.pt")
        torch.save({"average": model.state_dict(), "step": 10 + seed, "elapsed": 5.0}, paths[-1])
    run("average", tmp_path / "mean.pt", *paths)
    found = torch.load(tmp_path / "mean.pt", weights_only=True)
    assert (found["step"], found["elapsed"]) == (21, 10.0)
    one, other = map(state, paths)
    for name, tensor in found["average"].items():
        assert torch.allclose(tensor, (one[name] + other[name]) / 2), name
    run("export", "tiny", tmp_path / "mean.pt", "--folder", tmp_path / "weights")
    del one["gain.log"]
    torch.save({"average": one, "step": 1, "elapsed": 1.0}, paths[0])
    for wrong in (paths, paths[1:]):
        with pytest.raises(AssertionError, match="of one model"):
            run("average", tmp_path / "mean.pt", *wrong)


def test_compiled_blocks_are_those_of_the_network(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Compiling itself is torch's, and takes a minute."""
    found: list[str] = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self: found.append(type(self).__name__))
    common = ("fit", "tiny", "--data", photos, "--patch", 64, "--batch", 2, "--minutes", 0.02)
    run(*common, "--out", tmp_path, "--compile")
    assert {"Attention", "Residuals"} <= set(found)


@pytest.mark.parametrize("name", lic_models.installed())
def test_training_goes_on_from_exported_weights(name: str):
    """What is thawed computes what was frozen."""
    found = weights.find(name)
    frozen = weights.load(found, torch.device("cpu"))
    cls = registry.lookup(name)
    model = cls(cls.configure())
    model.load_state_dict(weights.thaw(found.path))
    again = weights.canonical(model)
    for layer, integers in frozen.integer_layers().items():
        assert integers.frozen is not None
        fine = torch.exp2(again[f"{layer}.shift"].double() - integers.frozen[2].double())
        before = integers.frozen[0].double() * fine[:, None, None, None]
        assert (again[f"{layer}.weight"] - before).abs().max() <= 0.5
    x = torch.rand(1, 3, 64, 64)
    level = torch.tensor([6000.0])
    with torch.no_grad():
        assert torch.allclose(model.analyse(x, level), frozen.analyse(x, level), atol=1e-3)


@pytest.mark.parametrize("missing", ["g_a.convs", "parameters_y"])
def test_linear_start_says_what_it_needs(missing: str):
    model = registry.lookup("tiny")(registry.lookup("tiny").configure())
    owner, _, name = missing.rpartition(".")
    delattr(getattr(model, owner) if owner else model, name)
    with pytest.raises(ValueError, match=f"model: found tiny without {missing}"):
        linear_start(model, torch.rand(2, 3, 64, 64))


def test_linear_start_is_a_working_codec(photos: Path):
    """Before any training the transforms are an orthonormal basis with sensible steps."""
    torch.manual_seed(0)
    cls = registry.lookup("elic")
    config = cls.configure(widths=(12, 48, 96), M=128, Z=8, groups=(16, 112), hyper=16)
    model = cls(config)
    crops = Photos(find([photos]), 64, torch.device("cpu"))
    x = crops.batch(16, np.random.default_rng(0))
    linear_start(model, x)
    objective = Objective(model).eval()
    with torch.no_grad():
        low, high = (
            objective(x, torch.full((16,), float(level)), noise=False)
            for level in (LEVEL_MIN, LEVEL_MAX)
        )
    assert low["distortion"].mean() > high["distortion"].mean()
    assert low["bpp"].mean() < high["bpp"].mean()
    assert -10 * high["distortion"].mean().log10() > 35


@pytest.mark.parametrize("groups", [(4, 12), (16, 16, 32, 64, 192), (32,)])
def test_components_are_shared_out(groups: tuple[int, ...]):
    """Every component once, the two strongest first, every group but the last partly rare ones."""
    order = arrange(groups)
    assert sorted(order) == list(range(sum(groups)))
    assert order[:2] == [0, 1]
    starts = np.cumsum((0, *groups[:-1]))
    assert all(order[a] < order[b] for a, b in itertools.pairwise(starts))


def test_transforms_can_be_shared(photos: Path, tmp_path: Path):
    """Another entropy path on given transforms: they stay as they are, and all the rest learns."""
    common = ("fit", "tiny", "--data", photos, "--patch", 64, "--batch", 2, "--minutes", 0.02)
    run(*common, "--out", tmp_path / "first")
    first = tmp_path / "first" / "checkpoint.pt"
    run(*common, "--out", tmp_path / "second", "--transforms", first, "--only", "rate", "--seed", 5)
    before, after = (state(tmp_path / name / "checkpoint.pt") for name in ("first", "second"))
    for name, tensor in after.items():
        shared = name.partition(".")[0] in TRANSFORMS
        assert torch.equal(tensor, before[name]) == shared or not before[name].any(), name


@pytest.mark.parametrize("more", [(), ("--adversarial",)])
def test_the_synthesis_can_learn_alone(photos: Path, tmp_path: Path, more: tuple[str, ...]):
    """What is coded stays as it is, to the bit."""
    common = ("fit", "tiny", "--data", photos, "--patch", 64, "--batch", 2, "--minutes", 0.02)
    run(*common, "--out", tmp_path / "first")
    first = tmp_path / "first" / "checkpoint.pt"
    alone = ("--only", "distortion", *more, "--every", 0.01)
    run(*common, "--out", tmp_path / "second", "--start", first, *alone)
    before, after = (state(tmp_path / name / "checkpoint.pt") for name in ("first", "second"))
    moved = {name for name, tensor in after.items() if not torch.equal(tensor, before[name])}
    assert moved
    assert {name.partition(".")[0] for name in moved} <= set(SYNTHESIS)


def test_rate_alone_is_that_of_the_same_y():
    """Where nothing is synthesised training takes y, and the bits are what images would give."""
    cls = registry.lookup("tiny")
    torch.manual_seed(0)
    objective = Objective(cls(cls.configure()), only="rate", precise=True)
    x, level = torch.rand(2, 3, 64, 64), torch.tensor([500.0, 5000.0])
    y = objective.analyse(x, anchor_shares(level))
    found = []
    for training, given in ((False, x), (True, y)):
        torch.manual_seed(1)
        found.append(objective.train(training)(given, level)["bpp"])
    assert torch.equal(*found)
    assert (found[0] > 0).all()


def test_what_was_analysed_serves_again(monkeypatch: pytest.MonkeyPatch):
    """One batch in a few is new, the rest is old, with the levels it was analysed for."""
    monkeypatch.setattr(replay, "HELD", 16)
    made: list[int] = []

    def fresh() -> tuple[torch.Tensor, torch.Tensor]:
        made.append(len(made))
        return torch.full((2, 3, 1, 1), made[-1] + 0.25), torch.full((2,), float(made[-1]))

    draw = replay.Replay(fresh, np.random.default_rng(0))
    served = [draw() for _ in range(600)]
    assert 600 / replay.USES * 0.7 < len(made) < 600 / replay.USES * 1.3
    assert len(draw.held) == 16
    assert all((y == level[:, None, None, None] + 0.25).all() for y, level in served)
    assert {int(level[0]) for _, level in served} == set(made)
    assert served[-1][0].dtype == torch.float32


@pytest.mark.parametrize("only", [None, "rate", "distortion"])
def test_residual_prediction_learns_with_the_synthesis(only: str | None):
    """Another model's transforms come without it, but pixels are what it learns from."""
    cls = registry.lookup("minnen2020")
    torch.manual_seed(0)
    objective = Objective(cls(cls.configs["toy"]), only)
    x, level = torch.rand(2, 3, 64, 64), torch.tensor([500.0, 5000.0])
    given = objective.analyse(x, anchor_shares(level)).detach() if objective.brief else x
    objective(given, level)["loss"].backward()
    moved = {
        n.partition(".")[0] for n, p in objective.model.named_parameters() if p.grad is not None
    }
    assert ({"lrp", "g_s"} <= moved) == (only != "rate")
    assert ({"channel", "h_a"} <= moved) == (only != "distortion")
    assert ("g_a" in moved) == (only is None)


def test_weights_can_be_shortened():
    """What is 16-bit float keeps that many digits, strided ones more; the rest keeps all."""
    cls = registry.lookup("tiny")
    torch.manual_seed(0)
    model = cls(cls.configure())
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    weights.shorten(model, 4)
    layers = model.integer_layers()
    for name, after in model.named_parameters():
        if name.rpartition(".")[0] in layers or name.endswith(weights.PRECISE):
            assert torch.equal(after, before[name]), name
        else:
            most = 2.0 ** (9 if ".convs." in name else 5)
            assert ((after - before[name]).abs() <= before[name].abs() / most).all(), name
            digits = torch.frexp(after)[0] * most
            assert torch.equal(digits, digits.round()), name


def test_channels_can_be_reordered():
    """The codec is the same, but strong channels are shared out over the groups."""
    cls = registry.lookup("minnen2020")
    model, other = cls(cls.configs["toy"]), cls(cls.configs["toy"])
    images = torch.rand(4, 3, 64, 64)
    linear_start(model, images)
    with torch.no_grad():
        model.gain.log += torch.linspace(2, -2, 16)
        model.inverse_gain.log -= torch.linspace(2, -2, 16)
    known = {k: v for k, v in model.state_dict().items() if k.partition(".")[0] in TRANSFORMS}
    known["h_a.0.weight"] = model.h_a[0].weight.detach()
    other.load_state_dict(reordered(other, known, images), strict=False)
    level = torch.full((4,), 5000.0)
    y, moved = model.analyse(images, level), other.analyse(images, level)
    seen = [
        torch.nn.functional.conv2d(torch.cat([v.asinh(), v.abs().log1p()], 1), m.h_a[0].weight)
        for m, v in ((model, y), (other, moved))
    ]
    assert torch.allclose(*seen, atol=1e-4)
    assert torch.allclose(model.synthesise(y, level), other.synthesise(moved, level), atol=1e-4)
    strongest = moved.transpose(0, 1).flatten(1).std(1).argsort(descending=True)[:4]
    assert len({int(channel) // 4 for channel in strongest}) > 1


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (("--reorder",), "without --transforms"),
        (("--fitting", "--transforms", "x", "--start", "x"), "with --start"),
        (("--only", "both"), "found 'both', allowed are rate, distortion"),
        (("--only", "rate", "--adversarial"), "allowed is one"),
        (("--tune", "best"), "allowed are 'psnr' and 'ms-ssim'"),
        (("--tune", "ms-ssim", "--adversarial"), "allowed is 'psnr'"),
        (("--reorder", "--transforms"), "allowed are models with GDN"),
    ],
)
def test_what_cannot_be_taken(photos: Path, tmp_path: Path, options: tuple[str, ...], found: str):
    if options[-1] == "--transforms":
        options = (*options, str(weights.find("tiny").path))
    common = ("fit", "tiny", "--data", photos, "--out", tmp_path, "--minutes", 1, "--patch", 64)
    assert found in refusal(*common, *options)


def test_transforms_can_be_replaced(photos: Path, tmp_path: Path):
    """With a start, only the transforms are the other's."""
    common = ("fit", "tiny", "--data", photos, "--patch", 64, "--batch", 2, "--minutes", 0.01)
    for seed, name in enumerate(("own", "other")):
        run(*common, "--out", tmp_path / name, "--seed", seed)
    own, other = (tmp_path / name / "checkpoint.pt" for name in ("own", "other"))
    still = ("--rate", 0, "--out", tmp_path / "both")
    run(*common, "--start", own, "--transforms", other, *still)
    before, replaced = state(own), state(other)
    for name, tensor in state(tmp_path / "both" / "checkpoint.pt").items():
        wanted = replaced if name.partition(".")[0] in TRANSFORMS else before
        assert torch.equal(tensor, wanted[name]), name


def test_weights_for_a_tune(photos: Path, tmp_path: Path):
    """What is logged is what is served, and the exported file says so in its name."""
    common = ("--data", photos, "--patch", 64, "--batch", 2, "--minutes", 0.01, "--rate", 0)
    run(
        "fit",
        "tiny",
        "--start",
        weights.find("tiny").path,
        "--tune",
        "ms-ssim",
        *common,
        "--out",
        tmp_path,
    )
    with (tmp_path / "log.csv").open() as file:
        row = next(csv.DictReader(file))
    assert 0 < float(row["ms-ssim500"]) < float(row["ms-ssim10000"])
    checkpoint = tmp_path / "checkpoint.pt"
    export = ("export", "tiny", checkpoint, "--folder", tmp_path)
    assert "found psnr, allowed is ms-ssim" in refusal(*export, "--tune", "psnr")
    run(*export)
    [path] = tmp_path.glob("*.safetensors")
    assert path.name.startswith("tiny.ms-ssim-1-")
    run("average", tmp_path / "mean.pt", checkpoint, checkpoint)
    mean = torch.load(tmp_path / "mean.pt", weights_only=True)
    assert mean["options"]["tune"] == "ms-ssim"
    mean["options"]["tune"] = "psnr"
    torch.save(mean, tmp_path / "mean.pt")
    assert "one model and tune" in refusal(
        "average", tmp_path / "both.pt", checkpoint, tmp_path / "mean.pt"
    )


def test_files_that_are_no_checkpoints(photos: Path, tmp_path: Path):
    """One line says so, and a picture is no reason to run what is in it."""
    common = ("fit", "tiny", "--data", photos, "--patch", 64, "--batch", 1, "--minutes", 0.01)
    run(*common, "--out", tmp_path / "run")
    good, photo, none = tmp_path / "run" / "checkpoint.pt", photos / "0.png", tmp_path / "none.pt"
    to = ("--folder", tmp_path / "weights")
    mean = tmp_path / "mean.pt"
    for arguments, problem in (
        (("export", "tiny", none, *to), "No such file"),
        (("export", "tiny", photo, *to), "0.png: found no checkpoint of `fit`"),
        (("export", "balle2017", good, *to), "found weights that do not fit balle2017"),
        (("average", mean, good, photo), "0.png: found no checkpoint of `fit`"),
        ((*common, "--out", tmp_path / "b", "--start", none), "No such file"),
        ((*common, "--out", tmp_path / "b", "--transforms", photo), "found no checkpoint"),
        ((*common, "--out", photo), "exists"),
        (
            (*common, "--out", tmp_path / "b", "--device", "foo"),
            "device: found 'foo', allowed is auto",
        ),
        (("fit", "balle2017", *common[2:], "--out", tmp_path / "run"), "model: found balle2017"),
    ):
        found = refusal(*arguments)
        assert problem.replace(" ", "") in found.replace(" ", ""), arguments
    assert not mean.exists()
    assert not (tmp_path / "weights").exists()
    with pytest.warns(UserWarning, match="minutes: found 0.01, but"):
        run(*common, "--out", tmp_path / "run")


def test_what_fits_is_taken():
    model = torch.nn.ParameterDict({"h_a": torch.zeros(2), "h_s": torch.zeros(3)})
    other = {"h_a": torch.ones(2), "h_s": torch.ones(4), "spatial": torch.ones(1)}
    assert list(fits(model, other)) == ["h_a"]


@pytest.mark.parametrize("shape", [(8, 48), (48, 8), (16, 16)])
def test_directions_count_alike(shape: tuple[int, int]):
    """Singular values that are a thousandfold apart come out near 1, on the same axes."""
    random = torch.Generator().manual_seed(0)
    u, _, v = torch.linalg.svd(torch.randn(2, *shape, generator=random), full_matrices=False)
    values = torch.logspace(0, -2, min(shape))
    found = orthogonal(u * values @ v)
    inner = u.mT @ found @ v.mT
    assert torch.linalg.svdvals(found).sub(0.95).abs().max() < 0.4
    assert (inner - torch.diag_embed(torch.diagonal(inner, dim1=1, dim2=2))).abs().max() < 1e-3


def test_steps_of_muon():
    """They are as large as Adam's, whatever the gradient's size, and lead downhill."""
    weights = [torch.nn.Parameter(torch.zeros(16, 8, 3, 3)) for _ in range(3)]
    optimizer = Muon([{"params": weights, "lr": 1e-2}])
    target = torch.randn(3, 16, 8, 3, 3, generator=torch.Generator().manual_seed(0))
    for weight, goal in zip(weights[:2], target, strict=False):
        weight.grad = (weight.detach() - goal) * 1e-3
    optimizer.step()
    for weight, goal in zip(weights[:2], target, strict=False):
        size = float(weight.detach().square().mean().sqrt())
        assert 0.1e-2 < size < 0.3e-2
        assert (weight * goal).sum() > 0
    assert not weights[2].any()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("name", ["tiny", "minnen2018"])
def test_what_is_recorded_is_what_runs(name: str):
    torch.manual_seed(0)
    cls = registry.lookup(name)
    device = torch.device("cuda")
    objective = Objective(cls(cls.configs["toy"]).to(device), precise=True)
    passes = Passes(objective, objective, 1e9)
    x, level = torch.rand(2, 3, 64, 64, device=device), torch.tensor([900.0, 8000.0], device=device)
    recorded = Recorded(passes)
    for _ in range(5):
        recorded(torch.zeros_like(x), level.flip(0))
    gradients = []
    for each in (recorded, passes):
        torch.manual_seed(1)
        each(x, level)
        gradients.append([p.grad.clone() for p in objective.parameters() if p.grad is not None])
    assert len(gradients[0]) > 10
    for found, right in zip(*gradients, strict=True):
        assert torch.allclose(found, right, rtol=0.05, atol=1e-4)


def test_gradients_of_passes():
    """They are those of the loss, each time afresh."""
    torch.manual_seed(0)
    cls = registry.lookup("tiny")
    objective = Objective(cls(cls.configure()), precise=True)
    x, level = torch.rand(2, 3, 64, 64), torch.tensor([900.0, 8000.0])
    norms = []
    for clip in (1e9, 1e9, 1e-3):
        torch.manual_seed(1)
        out = Passes(objective, objective, clip)(x, level)
        assert out["loss"].isfinite()
        left = [p.grad for p in objective.parameters() if p.grad is not None]
        norms.append((out["norm"], torch.nn.utils.get_total_norm(left)))
    assert norms[0] == norms[1]
    assert 0 < norms[0][0] == norms[0][1] == norms[2][0]  # it is the norm before clipping
    assert torch.isclose(norms[2][1], torch.tensor(1e-3), rtol=0.01)


def test_options_that_exclude_each_other(photos: Path, tmp_path: Path):
    common = ("fit", "tiny", "--data", photos, "--out", tmp_path, "--minutes", 1)
    assert "found both, allowed is one" in refusal(*common, "--soap", "--muon")
    found = refusal(*common, "--recorded", "--device", "cpu")
    assert "found cpu, allowed is one GPU" in found


def test_fitting_grows_and_shrinks(photos: Path, tmp_path: Path):
    """A model of more or fewer blocks starts from what both have."""
    torch.manual_seed(0)
    cls = registry.lookup("tiny")
    for blocks in (0, 2):
        other = cls(cls.configure(blocks=blocks)).state_dict()
        path, out = tmp_path / f"{blocks}.pt", tmp_path / str(blocks)
        torch.save({"average": other}, path)
        common = ("fit", "tiny", "--data", photos, "--patch", 64, "--minutes", 0.01, "--batch", 1)
        run(*common, "--transforms", path, "--fitting", "--only", "rate", "--out", out)
        found = state(out / "checkpoint.pt")
        both = [name for name in found if name in other and name.startswith("g_")]
        assert len(both) > 10
        assert all(torch.equal(found[name], other[name]) for name in both)
    torch.save({"average": {"h_s": torch.zeros(3)}}, tmp_path / "none.pt")
    options = ("--transforms", tmp_path / "none.pt", "--fitting", "--out", tmp_path / "none")
    assert "no transform fits" in refusal(*common, *options)


def test_resumed_runs_keep_their_average(tmp_path: Path):
    """The average goes on where it was: it does not start afresh from the weights of the day."""
    cls = registry.lookup("tiny")
    x, level = torch.rand(2, 3, 64, 64), torch.tensor([500.0, 5000.0])
    settings = Settings(minutes=1, warmup=1)
    averages = []
    for resumed in (False, True):
        torch.manual_seed(0)
        objective = Objective(cls(cls.configure()))
        run = _Run(objective, settings)
        if resumed:
            run.load(tmp_path / "a.pt")
        for _ in range(1 if resumed else 3):
            run.learn(objective, (x, level), lambda: (x, level))
        run.save(tmp_path / "a.pt")
        averages.append(torch.load(tmp_path / "a.pt", weights_only=True))
    before, after = averages
    assert after["step"] == before["step"] + 1
    name = "g_a.convs.0.weight"
    moved = (after["average"][name] - before["average"][name]).abs().max()
    ahead = (after["model"][name] - before["average"][name]).abs().max()
    assert 0 < moved < 0.9 * ahead  # an average that starts afresh is the weights of the day


@pytest.mark.parametrize("name", ["elic", "cheng2020", "balle2018"])
def test_loose_layers_do_nearly_the_same(name: str):
    """Rounding in integer layers is no more than noise; what is measured has it all the same."""
    torch.manual_seed(0)
    cls = registry.lookup(name)
    objective = Objective(cls(cls.configs["toy"]), precise=True)
    for layer in objective.model.integer_layers().values():
        torch.nn.init.normal_(layer.weight, std=0.1)
        torch.nn.init.normal_(layer.bias, 2)
    x, level = torch.rand(2, 3, 64, 64), torch.tensor([900.0, 8000.0])
    bits = []
    for loose in (False, True):
        objective.loosen(loose)
        torch.manual_seed(1)
        bits.append((objective(x, level)["bpp"], objective.eval()(x, level, noise=False)["bpp"]))
        objective.train()
    assert not torch.equal(bits[0][0], bits[1][0])
    assert torch.allclose(bits[0][0], bits[1][0], rtol=0.02)
    assert torch.equal(bits[0][1], bits[1][1])


def test_rounding_comes_back(tmp_path: Path):
    """It is left out for a share of the budget, and no longer."""
    cls = registry.lookup("tiny")
    objective = Objective(cls(cls.configure()))
    run = _Run(objective, Settings(minutes=1, loose=0.8))
    drawn = torch.rand(2, 3, 64, 64), torch.tensor([500.0, 5000.0])
    for elapsed, loose in ((0, True), (47, True), (49, False)):
        run.elapsed = elapsed
        run.learn(objective, drawn, lambda: drawn)
        assert {each.loose for each in objective.model.integer_layers().values()} == {loose}


def test_gradients_that_overflow_change_nothing():
    cls = registry.lookup("tiny")
    torch.manual_seed(0)
    objective = Objective(cls(cls.configure()))
    run = _Run(objective, Settings(minutes=1, warmup=1))
    drawn = torch.rand(2, 3, 64, 64), torch.tensor([500.0, 5000.0])
    run.learn(objective, drawn, lambda: drawn)
    before = {name: each.clone() for name, each in objective.state_dict().items()}
    objective.register_forward_hook(lambda *a: {**a[2], "loss": a[2]["loss"] * math.inf})
    run.learn(objective, drawn, lambda: drawn)
    assert all(torch.equal(each, before[name]) for name, each in objective.state_dict().items())
    assert (run.step, len(run.losses)) == (2, 1)


def test_held_out_images_count_alike(photos: Path):
    """Those of one size are coded together, which changes nothing for any of them."""
    images = [
        data.read(p)[None, :, :64, :width].float() / 255
        for p in find([photos])
        for width in (64, 128)
    ]
    cls = registry.lookup("tiny")
    objective = Objective(cls(cls.configure()))
    linear_start(objective.model, torch.cat(images[::2]))
    each = [evaluate(objective, [x]) for x in images]
    together = evaluate(objective, images)
    for name, value in together.items():
        assert value == pytest.approx(np.mean([row[name] for row in each]), rel=1e-4)


def test_averages_forget_the_start():
    """Of 200 steps the start weighs nothing, where a constant decay would leave two thirds."""
    update = _average(0.998)
    average = [torch.ones(1)]
    for n in range(1, 201):
        update(average, [torch.zeros(1)], torch.tensor(n))
    assert average[0] < 1e-3


def test_crops_are_pixels_of_the_photos(photos: Path, monkeypatch: pytest.MonkeyPatch):
    """Turned perhaps, but where they are not shrunk, softened or grained, sample by sample."""
    every = Photos(find([photos]), 64, torch.device("cpu"))
    plain = every.batch(20, np.random.default_rng(1))
    assert (plain.shape, plain.min() >= 0, plain.max() <= 1) == ((20, 3, 64, 64), True, True)
    for name in ("HALVED", "GRAINY"):
        monkeypatch.setattr(data, name, 0)
    monkeypatch.setattr(data, "SHRINK_MAX", 1)
    crops = (every.batch(20, np.random.default_rng(1)) * 255).round().byte()
    for crop in crops:
        turned = [crop, crop.flip(2), crop.transpose(1, 2), crop.transpose(1, 2).flip(2)]
        assert any(_inside(each, photo) for each in turned for photo in every.photos)


def _inside(crop: torch.Tensor, photo: torch.Tensor) -> bool:
    """Whether a photo (3, H, W) has a crop (3, h, w) somewhere."""
    height, width = crop.shape[1:]
    rows, columns = photo.shape[1] - height + 1, photo.shape[2] - width + 1
    corner = (photo[:, :rows, :columns] == crop[:, :1, :1]).all(0)
    return any(
        torch.equal(photo[:, top : top + height, left : left + width], crop)
        for top, left in corner.nonzero().tolist()
    )


@pytest.mark.parametrize("halved", [0, 1])
@pytest.mark.parametrize("grainy", [0, 1])
def test_crops_get_what_cameras_leave(monkeypatch: pytest.MonkeyPatch, halved: int, grainy: int):
    """Soft chroma under the same luma, and grain that is mostly luma."""
    monkeypatch.setattr(data, "HALVED", halved)
    monkeypatch.setattr(data, "GRAINY", grainy)
    x = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)) / 2 + 0.25
    found = data._taken(x, np.random.default_rng(1))
    weights = torch.tensor(data.LUMA)[:, None, None]
    luma, found_luma = (x * weights).sum(1), (found * weights).sum(1)
    added = float((found_luma - luma).std())
    assert (added > 0.5 / 255) == bool(grainy)
    assert added < 1.2 * data.GRAIN_MAX
    red, found_red = x[:, 0] - luma, found[:, 0] - found_luma
    detail, found_detail = float(red.diff().std()), float(found_red.diff().std())
    assert (found_detail < detail / 3) == bool(halved)


def test_no_photos_is_an_error(tmp_path: Path):
    with pytest.raises(ValueError, match="no images"):
        find([tmp_path])


@pytest.mark.parametrize("patch", ["65", "32"])
def test_bad_patch(photos: Path, tmp_path: Path, patch: str):
    common = ("fit", "tiny", "--data", photos, "--out", tmp_path, "--minutes", "0.02")
    assert "patch" in refusal(*common, "--patch", patch)


def test_training_needs_no_range_coder():
    """The training modules run where constriction is not installed."""
    import subprocess
    import sys

    code = (
        "import sys; sys.modules['constriction'] = None\n"
        "import lic_models.train.__main__, lic_models.models.elic"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("precise", [False, True])
def test_what_is_precise_trains_on_what_ships(precise: bool):
    """In float32 training sees the pixels that evaluation sees; in bfloat16 nearly."""
    torch.manual_seed(0)
    cls = registry.lookup("tiny")
    model = cls(cls.configure())
    x = torch.rand(2, 3, 64, 64)
    linear_start(model, x)
    objective = Objective(model, precise=precise)
    level = torch.tensor([9000.0, 10000.0])
    with torch.no_grad():
        trained = objective.train()(x, level, noise=False)["x_hat"]
        seen = objective.eval()(x, level, noise=False)["x_hat"]
    off = (trained.clamp(0, 1) - seen).abs().max()
    assert (off < 1e-4) == precise
    assert off < 0.2
