"""Files that people hand in: each held against what it says it is before anything of it is kept."""
