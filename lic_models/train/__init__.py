"""Training: `python -m lic_models.train --help`. Needs torch, NumPy and Pillow, no range coder."""
