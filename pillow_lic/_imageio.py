"""Makes imageio know the extension, for `imwrite("<bytes>", image, extension=".lic")`.

Everything else in imageio works through Pillow without it. imageio is never imported from here;
a program that imports it later calls `pillow_lic.register()` once more, or opens or saves a file.
"""

from __future__ import annotations

import sys

__all__ = ["register"]


def register() -> None:
    """Add `.lic` to imageio's tables if imageio is loaded and they lack it."""
    extensions = sys.modules.get("imageio.config.extensions")
    known = getattr(extensions, "known_extensions", None)  # absent while imageio is half imported
    if known is None or ".lic" in known:
        return
    extension = extensions.FileExtension(  # type: ignore[union-attr]
        extension=".lic", priority=["pillow"], name="Learned image compression"
    )
    known[".lic"] = [extension]
    extensions.extension_list.append(extension)  # type: ignore[union-attr]
