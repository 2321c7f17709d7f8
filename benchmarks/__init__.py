"""What ``make bench`` measures: each module one benchmark with a ``run(folder) -> list[Row]``; never part of the tests."""
