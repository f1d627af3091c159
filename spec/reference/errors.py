"""The errors of README.md."""

from __future__ import annotations


class LicError(Exception):
    """Any reason not to return an image."""


class FormatError(LicError):
    pass


class TruncatedError(LicError):
    pass


class ChecksumError(LicError):
    pass


class PayloadError(LicError):
    pass


class UnknownModelError(LicError):
    pass


class WeightsNotFoundError(LicError):
    pass
