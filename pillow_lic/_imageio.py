"""Tells imageio where its plugin for `.lic` is, at once or when a program imports it."""

from __future__ import annotations

import sys

from . import _hook

__all__ = ["register"]

NAME = "pillow_lic"  # "LIC" would hide the extension from imageio.v2, whose `format` is either


def register() -> None:
    """Add plugin and extension to imageio's tables, where they lack them, once there are any."""
    _hook.after("imageio.config", register)
    extensions = sys.modules.get("imageio.config.extensions")
    plugins = sys.modules.get("imageio.config.plugins")
    known = getattr(extensions, "known_extensions", None)  # absent while imageio is half imported
    ours = getattr(plugins, "known_plugins", None)
    if known is None or ours is None or ".lic" in known:
        return
    # First, before Pillow's, which would take bytes of 16 bits for 8: others' it leaves alone.
    config = plugins.PluginConfig(  # type: ignore[union-attr]
        name=NAME, class_name="LicPlugin", module_name="pillow_lic.imageio_plugin"
    )
    others = dict(ours)
    ours.clear()
    ours.update({NAME: config, **others})
    extension = extensions.FileExtension(  # type: ignore[union-attr]
        extension=".lic", priority=[NAME, "pillow"], name="Learned image compression"
    )
    known[".lic"] = [extension]
    extensions.extension_list.append(extension)  # type: ignore[union-attr]
