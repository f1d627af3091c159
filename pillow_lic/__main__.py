"""`python -m pillow_lic` is the `lic` command."""

from .cli import main

if __name__ == "__main__":  # processes of `--jobs` import this module too
    main()
