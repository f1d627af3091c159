"""Files that tests of several topics start from."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from samples import EXIF, ICC, XMP, lic, photo, picture

import lic_models
from lic_models import registry, weights
from lic_models.codec import Codec
from lic_models.train.linear import linear_start


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


@pytest.fixture(scope="module", params=lic_models.names())
def codec(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Codec:
    """The shipped codec; of a model without weights, one of toy widths before any training."""
    if request.param in lic_models.installed():
        return lic_models.load(request.param, device="cpu")
    torch.manual_seed(0)
    cls = registry.lookup(request.param)
    model = cls(cls.configs["toy"])
    linear_start(model, torch.stack([photo(128, 128, seed) for seed in range(8)]))
    folder = tmp_path_factory.mktemp("weights")
    found = weights.export(model, folder, generation=1, notes={})
    device = torch.device("cpu")
    return Codec(weights.load(found, device), found.fingerprint, device)
