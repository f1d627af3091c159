"""Opening files without `import pillow_lic`, and leaving nothing behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from commands import names, run
from samples import lic

HOOK = {"_pillow_lic_autoload.py", "_pillow_lic_autoload.pth", "_pillow_lic_autoload.start"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A site folder with the hook."""
    place = tmp_path / "site"
    place.mkdir()
    assert run("autoload", "on", "--folder", place).output.startswith("on")
    return place


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "a.lic"
    path.write_bytes(lic())
    return str(path)


def python(folder: Path, code: str, *arguments: str, **environment: str) -> str:
    """Run code in an interpreter that started with a site folder."""
    start = f"import site, sys; sys.path[:0] = {[p for p in sys.path if p]!r}; "
    start += f"site.addsitedir({str(folder)!r})\n"
    command = [sys.executable, "-W", "error", "-c", start + code, *arguments]
    result = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, **environment}
    )
    return (result.stdout + result.stderr).strip()


OPEN = "from PIL import Image\nwith Image.open(sys.argv[1]) as image: print(image.size)"


def test_open_without_import(folder: Path, file: str):
    assert python(folder, OPEN, file) == "(40, 24)"
    assert python(folder, "import PIL.Image\n" + OPEN, file) == "(40, 24)"
    held = python(folder, OPEN, file, PILLOW_LIC_AUTOLOAD="0")
    assert "UnidentifiedImageError" in held


def test_looking_is_not_importing(folder: Path, file: str):
    look = "import importlib.util; importlib.util.find_spec('PIL.Image')\n"
    assert python(folder, look + OPEN, file) == "(40, 24)"


def test_pillow_looks_as_always(folder: Path):
    code = (
        "import PIL.Image; print(type(PIL.Image.__spec__.loader).__name__, PIL.Image.__loader__ is "
    )
    code += "PIL.Image.__spec__.loader, [type(f).__name__ for f in sys.meta_path if '_autoload' in "
    code += "type(f).__module__])"
    assert python(folder, code) == "SourceFileLoader True ['_Finder']"  # which waits for imageio


def test_imageio_without_import(folder: Path, file: str):
    """From the first read on, and what it goes through is not changed meanwhile."""
    code = "import imageio.v3 as iio; print(iio.immeta(sys.argv[1])['bit_depth'])"
    assert python(folder, code, file) == "8"
    assert python(folder, "from PIL import Image\n" + code, file) == "8"
    code = "import imageio.v3 as iio, warnings; warnings.simplefilter('ignore')  # of its plugins\n"
    code += "try: iio.imread(b'junk')\nexcept OSError: print('no picture')"
    assert python(folder, code) == "no picture"


def test_a_loader_can_do_what_it_could(folder: Path):
    code = "import importlib.util; loader = importlib.util.find_spec('PIL.Image').loader\n"
    code += "print('class Image' in loader.get_source('PIL.Image'))"
    assert python(folder, code) == "True"


def test_nothing_happens_without_pillow(folder: Path):
    code = "print(sorted(n for n in sys.modules if n.partition('.')[0] in ('PIL', 'pillow_lic')))"
    assert python(folder, code) == "[]"


def test_a_package_that_is_gone_is_no_trouble(folder: Path):
    code = "sys.modules['pillow_lic'] = None; from PIL import Image; print(Image.__name__)"
    assert python(folder, code) == "PIL.Image"


def test_installing_twice(folder: Path, file: str):
    run("autoload", "on", "--folder", folder)
    again = "import _pillow_lic_autoload as hook; hook.install()\n"
    assert python(folder, again + OPEN, file) == "(40, 24)"


def test_off_leaves_nothing(folder: Path, file: str):
    python(folder, OPEN, file)
    assert names(folder) >= HOOK
    assert run("autoload", "off", "--folder", folder).output.startswith("off")
    assert not [path for path in folder.rglob("*") if path.is_file()]
    assert "UnidentifiedImageError" in python(folder, OPEN, file)
    assert run("autoload", "off", "--folder", folder).output.startswith("off")


def test_status(folder: Path, monkeypatch: pytest.MonkeyPatch):
    (folder / "_pillow_lic_autoload.py").unlink()
    assert "repairs" in run("autoload", "status", "--folder", folder).output
    run("autoload", "on", "--folder", folder)
    monkeypatch.setenv("PILLOW_LIC_AUTOLOAD", "0")
    assert "holds it back" in run("autoload", "status", "--folder", folder).output


def test_a_folder_that_is_not_there(tmp_path: Path):
    assert "none" in run("autoload", "on", "--folder", tmp_path / "none", code=1).stderr
    assert "autoload" in run("autoload", "maybe", code=2).output


def test_the_module_runs_the_command():
    found = subprocess.run(
        [sys.executable, "-m", "pillow_lic", "autoload", "status"], capture_output=True, text=True
    )
    assert found.stdout.startswith("off")
