"""What can go wrong in the model package.

```
UnknownModel(ValueError)        no model of that name or id
WeightsNotFound(LookupError)    the model is known, its weights are not installed
WeightsError(ValueError)        a weights file breaks the rules
StreamError(ValueError)         coded bytes that no encoder of ours writes
```
"""

from __future__ import annotations

__all__ = ["StreamError", "UnknownModel", "WeightsError", "WeightsNotFound"]


class UnknownModel(ValueError):
    """No model of that name or id is registered; the message lists those that are."""


class WeightsNotFound(LookupError):
    """The weights asked for are not installed; the message names model and fingerprint."""


class WeightsError(ValueError):
    """A weights file is malformed, or a layer in it breaks the exactness bound."""


class StreamError(ValueError):
    """A coded stream is malformed: wrong length, impossible symbol, or left-over words."""
