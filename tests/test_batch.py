"""Many files in one command: one after another, or several at once in processes of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from commands import TINY, names, run
from PIL import Image
from samples import distance, picture

from pillow_lic.cli import batch
from pillow_lic.cli.failures import Failures

# A command whose work never ends by itself, and says when it has begun.
ENDLESS = """
import signal, sys, time
from pathlib import Path
from pillow_lic.cli import batch, failures, files, process

signal.signal(signal.SIGINT, signal.default_int_handler)  # those who run tests may ignore it

def work(source, target):
    with files.atomic(target, overwrite=False) as path:
        path.write_bytes(b"half")
        Path(f"{source}.begun").touch()
        time.sleep(600)

if __name__ == "__main__":
    process.prepare()
    pairs = [(Path(name), Path(f"{name}.lic")) for name in "abcd"]
    batch.run(failures.Failures(), pairs, work, "waiting", jobs=2)
"""


def copied(source: Path, target: Path) -> str:
    target.write_bytes(source.read_bytes())
    return f"{target.name} {os.environ.get(batch.THREADS)} {os.getpid()}"


def interrupted(source: Path, target: Path) -> str:
    os.kill(os.getpid(), signal.SIGINT)
    return copied(source, target)


def ended(source: Path, target: Path) -> str:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


@pytest.fixture
def pairs(tmp_path: Path) -> list[tuple[Path, Path]]:
    """Four, of which the second has nothing to read."""
    found = [(tmp_path / name, tmp_path / f"{name}.out") for name in "abcd"]
    for source, _ in found:
        source.write_text(source.name)
    found[1][0].unlink()
    return found


@pytest.mark.parametrize("jobs", [1, 9])
def test_one_that_fails_stops_no_other(
    jobs: int,
    pairs: list[tuple[Path, Path]],
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(batch.THREADS, raising=False)
    failures = Failures()
    batch.run(failures, pairs, copied, "copying", jobs)
    told = capfd.readouterr()
    lines = sorted(line.split() for line in told.out.splitlines())
    assert [line[0] for line in lines] == ["a.out", "c.out", "d.out"]
    assert [target.is_file() for _, target in pairs] == [True, False, True, True]
    assert failures.count == 1
    assert str(pairs[1][0]) in told.err
    here = {int(line[2]) for line in lines} == {os.getpid()}
    assert here == (jobs == 1)
    if jobs > 1:  # they share the cores
        assert {int(line[1]) for line in lines} == {max(1, batch._cores() // min(jobs, 4))}


def test_a_process_that_is_ended(
    pairs: list[tuple[Path, Path]], capfd: pytest.CaptureFixture[str]
) -> None:
    """As systems do that have no memory left; others then wait for an answer for ever."""
    failures = Failures()
    batch.run(failures, pairs, ended, "ending", jobs=2)
    assert failures.count == 1
    assert "fewer jobs" in capfd.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="processes cannot signal themselves there")
def test_who_ignores_interrupts_goes_on(pairs: list[tuple[Path, Path]]) -> None:
    """As commands do that a script runs in the background."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        batch.run(Failures(), pairs, interrupted, "copying", jobs=2)
    finally:
        signal.signal(signal.SIGINT, before)
    assert [target.is_file() for _, target in pairs] == [True, False, True, True]


@pytest.mark.skipif(sys.platform == "win32", reason="needs groups of processes")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_who_is_interrupted_leaves_nothing(number: int, tmp_path: Path) -> None:
    """No half file, nor a process that waits for one that was killed."""
    (tmp_path / "endless.py").write_text(ENDLESS)
    words = [sys.executable, "endless.py"]
    null = subprocess.DEVNULL
    process = subprocess.Popen(words, cwd=tmp_path, start_new_session=True, stderr=null)
    while not all((tmp_path / f"{name}.begun").exists() for name in "ab"):
        assert process.poll() is None
        time.sleep(0.05)
    if number == signal.SIGKILL:
        process.kill()
    else:  # a terminal, or `timeout`
        os.killpg(process.pid, number)
    assert process.wait(60) != 0
    with suppress(ProcessLookupError):  # once there is none left
        while True:
            os.killpg(process.pid, 0)
            time.sleep(0.05)
    assert names(tmp_path) == {"endless.py", "a.begun", "b.begun"}


def test_several_at_once_write_the_same(tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for count, name in enumerate(("a.png", "b.png")):
        picture(size=(40 + count, 30)).save(pictures / name)
    for jobs in (1, 2):
        coded, decoded = tmp_path / f"coded{jobs}", tmp_path / f"decoded{jobs}"
        run("encode", pictures, *TINY, "-o", coded, "--jobs", jobs)
        run("decode", coded, "-o", decoded, "--jobs", jobs)
    for name in ("a", "b"):
        one, several = (tmp_path / f"coded{jobs}" / f"{name}.lic" for jobs in (1, 2))
        assert one.read_bytes() == several.read_bytes()
        shown = [tmp_path / f"decoded{jobs}" / f"{name}.png" for jobs in (1, 2)]
        with Image.open(shown[0]) as one_shown, Image.open(shown[1]) as other:
            assert distance(one_shown, other) <= 1  # each has its own number of threads
