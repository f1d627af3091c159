"""What can go wrong with a `.lic` file.

```
LicError(OSError)           everything below; Pillow callers already catch OSError
    FormatError             a field or a part breaks the format, or needs a newer reader
    TruncatedError          the file ends early
    ChecksumError           a CRC-32 does not fit the bytes it covers
    PayloadError            the checksums fit, but no encoder writes such coded bytes
    ModelError              the file is fine, this installation cannot decode it
        UnknownModelError       no model has the id that the file names
        WeightsNotFoundError    the model is known, the weights that the file names are not here
```

A bad argument (`quality`, `model`, `tile`, ...) is a ValueError, as everywhere in Pillow.
A file that does not start with the signature is nobody's: Pillow says UnidentifiedImageError.
"""

from __future__ import annotations

__all__ = [
    "ChecksumError",
    "FormatError",
    "LicError",
    "ModelError",
    "PayloadError",
    "TruncatedError",
    "UnknownModelError",
    "WeightsNotFoundError",
]


class LicError(OSError):
    """A `.lic` file cannot be read or written."""


class FormatError(LicError):
    """A field or part breaks the format; the message names it, what was found, what is allowed."""


class TruncatedError(LicError):
    """The file ends before the image does."""


class ChecksumError(LicError):
    """A part of the file was damaged after it was written."""


class PayloadError(LicError):
    """Coded bytes are malformed although their checksum fits."""


class ModelError(LicError):
    """This installation lacks what the file needs for decoding."""


class UnknownModelError(ModelError):
    """No installed model has the id in the file; the message lists those that are known."""


class WeightsNotFoundError(ModelError):
    """The weights that the file was written with are not installed; the message names them."""
