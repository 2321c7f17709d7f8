"""The directory of doctors: files are read, servers asked, and it is searched."""
