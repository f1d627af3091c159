"""The README's lines for other libraries, run as printed; skipped where the library is missing."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from samples import lic, picture
from specification import ROOT

README = (ROOT / "README.md").read_text("utf-8")
TABLE = README.partition("| library | how |")[2].partition("\n\n")[0]
ROWS = dict(re.findall(r"^\| ([\w -]+) \| (.+) \|$", TABLE, re.M))
NEEDS = {
    "matplotlib": "matplotlib",
    "scikit-image": "skimage",
    "dask": "dask.array",
    "fsspec": "fsspec",
    "torchvision": "torchvision",
    "timm": "timm",
    "Hugging Face datasets": "datasets",
    "imageio": "imageio",
}


def test_the_table_is_what_is_tested():
    assert set(ROWS) == set(NEEDS)


def snippet(library: str) -> str:
    """Return the code between backticks, one statement each."""
    return "import pillow_lic\n" + "\n".join(re.findall(r"`([^`]+)`", ROWS[library]))


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A folder with `photos/cat/x.lic`."""
    folder = tmp_path / "photos" / "cat"
    folder.mkdir(parents=True)
    (folder / "x.lic").write_bytes(lic(picture("RGB", (60, 40))))
    (tmp_path / "x.lic").write_bytes(lic(picture("RGB", (60, 40))))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))


@pytest.mark.filterwarnings("ignore")  # theirs
@pytest.mark.parametrize("library", NEEDS)
def test_snippet(library: str):
    try:
        importlib.import_module(NEEDS[library])
    except (ImportError, RuntimeError) as error:  # torchvision, of another build than torch
        pytest.skip(f"{library}: {error}")
    names: dict[str, object] = {"image": picture("RGB", (60, 40))}
    exec(snippet(library), names)
    found = names["found"]
    if isinstance(found, Image.Image):
        found = np.asarray(found)
    shape = np.asarray(found).shape
    assert shape in ((40, 60, 3), (1, 40, 60, 3)), shape
    assert np.asarray(found, float).std() > 0
