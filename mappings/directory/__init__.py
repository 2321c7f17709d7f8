"""A directory of doctors: what a source says of one, and what is looked for. Unknown stays unknown, and is never no."""
