"""A process forked from one that has used torch codes: data loaders and servers start that way."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import io, multiprocessing, sys
import pillow_lic
import torch
from PIL import Image

def load(index):
    with Image.open(sys.argv[1]) as image:
        return image.tobytes(), torch.get_num_threads()

torch.set_num_threads(2)
if sys.argv[2] == "coded":
    image = Image.linear_gradient("L").resize((512, 512)).convert("RGB")
    image.save(sys.argv[1], model="tiny")
else:  # threads there are, but nobody has asked for a codec
    torch.nn.Conv2d(8, 8, 3)(torch.rand(1, 8, 512, 512))
    assert "lic_models" not in sys.modules
with multiprocessing.get_context("fork").Pool(1) as pool:
    [(theirs, threads)] = pool.map_async(load, [1]).get(60)
mine, _ = load(0)
print(max(abs(a - b) for a, b in zip(mine, theirs, strict=True)) <= 1, threads)
"""


ALONE = """
import os, sys
import pillow_lic
if os.fork():
    sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))
from PIL import Image
Image.open(sys.argv[1]).load()
import lic_models.device
assert not lic_models.device._forked  # there was no torch: nothing is missing
"""


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="forking is for Linux")
def test_a_forked_process_decodes(tmp_path: Path):
    for before in ("coded", "used torch"):  # the second reads what the first wrote
        command = [sys.executable, "-c", CODE, str(tmp_path / "a.lic"), before]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert done.stdout.split() == ["True", "1"], done.stderr
    command = [sys.executable, "-c", ALONE, str(tmp_path / "a.lic")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
