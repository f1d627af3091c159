"""A process forked from one that has coded codes too: data loaders and servers start that way."""

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
image = Image.linear_gradient("L").resize((512, 512)).convert("RGB")
image.save(sys.argv[1], model="tiny")
mine, _ = load(0)
with multiprocessing.get_context("fork").Pool(1) as pool:
    [(theirs, threads)] = pool.map_async(load, [1]).get(60)
print(max(abs(a - b) for a, b in zip(mine, theirs, strict=True)) <= 1, threads)
"""


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="forking is for Linux")
def test_a_forked_process_decodes(tmp_path: Path):
    command = [sys.executable, "-c", CODE, str(tmp_path / "a.lic")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.split() == ["True", "1"], done.stderr
