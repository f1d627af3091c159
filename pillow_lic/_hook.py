"""Runs something the moment a module is imported, such as an `import pillow_lic` after Pillow's.

`python -m pillow_lic autoload on` copies this file, by itself, to where Python looks for what to
run when it starts; `autoload off` removes it. It imports nothing that Python has not loaded
anyway, and does nothing at all until somebody imports Pillow or imageio.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # importing typing would take longer than all of this
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class _Loader:
    """Runs a module as its own loader would, then what waits for it."""

    def __init__(self, inner: Any, finder: Any) -> None:
        self.inner, self.finder = inner, finder

    def __getattr__(self, name: str) -> Any:  # what else a loader can do
        return getattr(self.inner, name)

    def create_module(self, spec: Any) -> Any:
        return self.inner.create_module(spec)

    def exec_module(self, module: Any) -> None:
        module.__spec__.loader = module.__loader__ = self.inner  # what others expect to see
        self.inner.exec_module(module)
        if self.finder in sys.meta_path:
            sys.meta_path.remove(self.finder)
        self.finder.then()


class _Finder:
    """Finds a module, through the finders after it, until it is imported."""

    def __init__(self, name: str, then: Callable[[], object]) -> None:
        self.name, self.then = name, then

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name != self.name:
            return None
        for finder in [each for each in sys.meta_path if each is not self]:
            find = getattr(finder, "find_spec", None)
            spec = find(name, path, target) if find else None
            if spec is not None:
                if hasattr(spec.loader, "exec_module"):
                    spec.loader = _Loader(spec.loader, self)
                return spec
        return None


def after(name: str, then: Callable[[], object]) -> None:
    """Call `then` once a module is imported, unless it is already; asking twice is asking once."""
    waiting = [getattr(f, "name", "") for f in sys.meta_path if type(f).__name__ == "_Finder"]
    if name not in sys.modules and name not in waiting:
        sys.meta_path.insert(0, _Finder(name, then))  # type: ignore[arg-type]


def _autoload() -> None:
    try:
        import pillow_lic

        if hasattr(pillow_lic, "register"):  # else it is this package that imports Pillow
            pillow_lic.register()
    except ModuleNotFoundError as error:
        if error.name != "pillow_lic":  # else uninstalled: Pillow works without it
            print(f"pillow_lic: autoload failed: {error!r}", file=sys.stderr)
    except Exception as error:
        print(f"pillow_lic: autoload failed: {error!r}", file=sys.stderr)


def install() -> None:
    """Wait for Pillow and imageio, unless PILLOW_LIC_AUTOLOAD=0; once more changes nothing.

    imageio imports Pillow while it goes through its plugins, of which there must not be more then.
    """
    if os.environ.get("PILLOW_LIC_AUTOLOAD") != "0":
        for name in ("PIL.Image", "imageio.config"):
            after(name, _autoload)
