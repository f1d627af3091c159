"""imageio reads and writes `.lic` through Pillow, to bytes as well as to paths."""

from __future__ import annotations

from pathlib import Path

import imageio.v3 as iio
import numpy as np
from imageio.config import extension_list, known_extensions
from samples import lic, picture

import pillow_lic


def test_path_and_bytes(tmp_path: Path) -> None:
    """The extension decides the format, also where there is no file name."""
    pixels = np.asarray(picture())
    iio.imwrite(tmp_path / "a.lic", pixels, model="tiny")
    data = iio.imwrite("<bytes>", pixels, extension=".lic", model="tiny")
    assert data == (tmp_path / "a.lic").read_bytes() == lic()
    assert iio.imread(data).shape == iio.imread(tmp_path / "a.lic").shape == (24, 40, 3)
    assert iio.improps(tmp_path / "a.lic").shape == (24, 40, 3)
    assert iio.immeta(tmp_path / "a.lic")["model"] == "tiny"


def test_registering_twice_changes_nothing() -> None:
    """One entry, however often asked."""
    pillow_lic.register()
    pillow_lic.register()
    assert len(known_extensions[".lic"]) == 1
    assert [each.extension for each in extension_list].count(".lic") == 1


def test_imageio_first_or_later() -> None:
    """A later import of imageio is noticed at the next `register`."""
    entry = known_extensions.pop(".lic")
    extension_list.remove(entry[0])
    pillow_lic.register()
    assert known_extensions[".lic"][0].priority == ["pillow"]
