"""`python -m pillow_lic` is the `lic` command."""

from .cli import main

main()
