"""What importing and opening leave alone, seen from fresh interpreters."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from samples import HEADER

from pillow_lic import container

HEAVY = "torch", "numpy", "constriction", "lic_models", "imageio", "scipy"


def run(code: str, *arguments: str) -> str:
    """Run code in a fresh interpreter that treats warnings as errors."""
    paths = f"import sys; sys.path[:0] = {[path for path in sys.path if path]!r}\n"
    command = [sys.executable, "-W", "error", "-c", paths + code, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def file(tmp_path: Path) -> str:
    """A file whose weights nobody has."""
    path = tmp_path / "a.lic"
    path.write_bytes(container.write(HEADER, {"e": b"II*\0"}, None, [b"pixels"]))
    return str(path)


LOADED = f"print(*sorted(set({HEAVY!r}) & set(sys.modules)))"


def test_import_loads_nothing_heavy() -> None:
    """Nor `PIL.ImageFile`, which takes longer than all of this package."""
    assert run("import pillow_lic; " + LOADED) == ""
    assert run("import pillow_lic; print('PIL.ImageFile' in sys.modules)") == "False"


def test_open_and_verify_load_nothing_heavy(file: str) -> None:
    """Opening works without weights, torch and numpy."""
    code = "import pillow_lic; from PIL import Image; im = Image.open(sys.argv[1]); im.verify(); "
    assert run(code + "print(im.size); " + LOADED, file) == "(5, 3)"


def test_import_registers(file: str) -> None:
    """`import pillow_lic` is all it takes, before or after Pillow has looked for plugins."""
    opening = "print(Image.open(sys.argv[1]).format)"
    assert run("import pillow_lic; from PIL import Image; " + opening, file) == "LIC"
    later = "from PIL import Image; Image.init(); import pillow_lic; "
    assert run(later + opening, file) == "LIC"
    assert run("import pillow_lic.LicImagePlugin; from PIL import Image; " + opening, file) == "LIC"


def test_register_is_idempotent() -> None:
    """Registering again adds nothing, and repairs what was removed."""
    code = """
import pillow_lic
from PIL import Image
before = list(Image.ID)
pillow_lic.register()
assert Image.ID == before and before.count("LIC") == 1
del Image.EXTENSION[".lic"]
pillow_lic.register()
assert Image.registered_extensions()[".lic"] == "LIC"
"""
    assert run(code) == ""


def test_a_missing_model_package_is_an_oserror(file: str) -> None:
    """Without torch a file opens; loading says what is missing."""
    code = """
import sys
sys.modules["lic_models"] = None
import pillow_lic
from PIL import Image
image = Image.open(sys.argv[1])
try:
    image.load()
except pillow_lic.LicError as error:
    print(error)
"""
    assert run(code, file).startswith("decoding needs the package lic_models: ")


def test_unpickling_finds_the_class(file: str) -> None:
    """A spawned worker needs no import of its own."""
    code = """
import pickle, pillow_lic.LicImagePlugin as plugin
image = plugin.LicImageFile.__new__(plugin.LicImageFile)
image.__setstate__([{}, "L", (1, 1), [], b"x", ""])
print(pickle.dumps(image).hex())
"""
    loading = "import pickle; print(pickle.loads(bytes.fromhex(sys.argv[1])).getpixel((0, 0)))"
    assert run(loading, run(code)) == "120"
