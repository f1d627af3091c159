"""One file per paper; the folder is the list."""
