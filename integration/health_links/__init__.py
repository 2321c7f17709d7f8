"""SMART Health Links: a patient carries the packet by one (`making`, `serving`), or brings one that is taken in (`opening`)."""
