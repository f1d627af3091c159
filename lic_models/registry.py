"""Names and permanent ids of models.

A model file says `@register("elic", id=8)`. Name and id are written into files that must decode
for years, so they are never reused and never derived from any order.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from .errors import UnknownModel

if TYPE_CHECKING:
    from .base import Model

__all__ = ["lookup", "model_id", "model_name", "names", "register"]

MORE = "LIC_MODELS"  # modules, between commas, that register models of others

_classes: dict[str, type[Model]] = {}
_ids: dict[int, str] = {}
_loaded = False

T = TypeVar("T", bound="type[Model]")


def register(name: str, *, id: int) -> Callable[[T], T]:
    """Class decorator: make a model known under a permanent name and id (0 to 255).

    Ids 192 to 254 are for experiments. Programs find models that other modules register once they
    import these, or LIC_MODELS names them. Raises ValueError if the name or the id is taken by
    another class, or cannot be one.
    """
    if not 0 <= id <= 255:
        raise ValueError(f"model id: found {id}, allowed is 0 to 255")
    if not re.fullmatch("[a-z0-9_]+", name):  # it begins the names of weights files
        raise ValueError(f"model name: found {name!r}, allowed are a to z, 0 to 9 and _")

    def add(cls: T) -> T:
        if not cls.__module__.startswith(f"{__package__}.models."):
            _import_all()  # what is our own comes first
        known = _classes.get(name)
        anew = known and (known.model_id, _place(known)) == (id, _place(cls))  # its module again
        if not anew and (known or id in _ids):
            raise ValueError(f"model {name!r} (id {id}): name or id is already registered")
        _classes[name] = cls
        _ids[id] = name
        cls.name, cls.model_id = name, id
        return cls

    return add


def _place(cls: type[Model]) -> tuple[str, str]:
    return cls.__module__, cls.__qualname__


def _import_all() -> None:
    global _loaded
    if not _loaded:
        from . import models

        for module in pkgutil.iter_modules(models.__path__):
            importlib.import_module(f"{models.__name__}.{module.name}")
        _loaded = True
        for name in os.environ.get(MORE, "").split(","):
            if name.strip():
                _import(name.strip())


def _import(name: str) -> None:
    try:
        importlib.import_module(name)
    except ImportError as error:
        raise ImportError(f"{MORE}: {name}: {error}") from error


def names() -> list[str]:
    """Return the registered names, ordered by id."""
    _import_all()
    return [_ids[i] for i in sorted(_ids)]


def model_name(key: str | int) -> str:
    """Return the name for a name or id; raises UnknownModel listing what is known."""
    _import_all()
    if isinstance(key, str) and key in _classes:
        return key
    if isinstance(key, int) and not isinstance(key, bool) and key in _ids:
        return _ids[key]
    known = ", ".join(f"{_ids[i]} ({i})" for i in sorted(_ids))
    raise UnknownModel(f"model: found {key!r}, known are {known}")


def lookup(key: str | int) -> type[Model]:
    """Return the class for a name or id; raises UnknownModel listing what is known."""
    return _classes[model_name(key)]


def model_id(name: str) -> int:
    """Return the permanent id of a model name."""
    return lookup(name).model_id
