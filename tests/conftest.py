"""Files that tests of several topics start from."""

from __future__ import annotations

from pathlib import Path

import pytest
from samples import EXIF, ICC, XMP, lic, picture


@pytest.fixture
def png(tmp_path: Path) -> Path:
    """A picture that no other test shares."""
    path = tmp_path / "one.png"
    picture().save(path)
    return path


@pytest.fixture
def coded(tmp_path: Path) -> Path:
    """A sound file with all metadata and alpha."""
    path = tmp_path / "sound.lic"
    path.write_bytes(lic(picture("RGBA"), exif=EXIF, icc_profile=ICC, xmp=XMP, quality=62.5))
    return path
