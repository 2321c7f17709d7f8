from integration.web.recent import LONGEST_SECONDS, Recent, kept_for


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def counting(clock: Clock, seconds: float):
    """Counts its calls, and takes so long for each."""
    calls = []

    def count() -> int:
        clock.now += seconds
        calls.append(clock.now)
        return len(calls)

    return count


def test_what_is_cheap_to_count_is_counted_for_each_look():
    clock = Clock()
    recent, count = Recent(clock), counting(clock, 0.05)
    assert [recent.get(7, count) for _ in range(3)] == [1, 2, 3]


def test_what_is_dear_takes_a_hundredth_of_the_time_and_no_more():
    clock = Clock()
    recent, count = Recent(clock), counting(clock, 0.9)
    assert recent.get(365, count) == recent.get(365, count) == 1
    clock.now += 89
    assert recent.get(365, count) == 1
    assert recent.get(7, count) == 2  # another question
    clock.now += 2
    assert recent.get(365, count) == 3
    assert kept_for(60) == LONGEST_SECONDS
