"""Statistics of texture that need no trained network: what the eye keeps of grain it cannot follow.

All are of luma. Distances are 0 for equal images and compare distributions or energies, not the
samples themselves, so that grain may move but must not vanish.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .metrics import Pixels

    Plane = NDArray[np.float64]  # (H, W)

__all__ = ["OCTAVES", "Texture", "compare"]

OCTAVES = 3
WAVELET = "db4"  # of several taps: other than those that a training objective looks at
WINDOW = 8  # samples of a band whose energy is taken together
FLOOR = 1.0  # of a band's mean energy, in levels squared: what nobody sees
LUMA = 0.299, 0.587, 0.114


@dataclass(frozen=True)
class Texture:
    """How the texture of a decoded image differs from the original's.

    Attributes:
        gradients: mean distance between gradient magnitudes of equal rank, over the original's
            mean magnitude.
        wavelets: mean difference in dB between the energies of wavelet bands in equal windows.
        energy: a band's energy over the original's, of each octave, finest first.
    """

    gradients: float
    wavelets: float
    energy: tuple[float, ...]


def compare(original: Pixels, decoded: Pixels) -> Texture:
    """Compare two images (H, W, 3) of one shape."""
    import numpy as np

    if original.shape != decoded.shape:
        found = f"{original.shape} and {decoded.shape}"
        raise ValueError(f"images: found shapes {found}, allowed are equal ones")
    planes = [image.astype(np.float64) @ LUMA for image in (original, decoded)]
    slopes = [np.sort(np.hypot(*np.gradient(plane)), axis=None) for plane in planes]
    mean = float(slopes[0].mean())
    gradients = float(np.abs(slopes[1] - slopes[0]).mean()) / mean if mean else 0.0
    octaves = list(zip(*map(_energies, planes), strict=True))
    differences = [np.abs(_decibels(b) - _decibels(a)).mean() for a, b in octaves]
    energy = tuple(float((b.mean() + FLOOR) / (a.mean() + FLOOR)) for a, b in octaves)
    return Texture(gradients, float(np.mean(differences)), energy)


def _energies(plane: Plane) -> list[Plane]:
    """Return mean energies (3, h, w) of the bands of each octave in windows, finest first."""
    import numpy as np
    import pywt

    bands: list[tuple[Plane, ...]] = pywt.wavedec2(plane, WAVELET, "periodization", OCTAVES)[1:]
    return [_windows(np.square(np.stack(octave))) for octave in reversed(bands)]


def _windows(energy: Plane) -> Plane:
    """Return means of (..., H, W) over windows; what is left at the edges is left out."""
    size = [min(WINDOW, side) for side in energy.shape[-2:]]
    height, width = (side // one for side, one in zip(energy.shape[-2:], size, strict=True))
    whole = energy[..., : height * size[0], : width * size[1]]
    split = whole.reshape(*energy.shape[:-2], height, size[0], width, size[1])
    found: Plane = split.mean((-3, -1))
    return found


def _decibels(energy: Any) -> Any:
    import numpy as np

    return 10 * np.log10(energy + FLOOR)
