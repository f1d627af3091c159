"""Training: `python -m lic_models.train --help`. No range coder is needed."""
