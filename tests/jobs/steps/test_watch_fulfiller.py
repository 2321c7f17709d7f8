"""What the watch says when nothing is known of the Task it is to read."""

from unittest.mock import Mock

import pytest

from jobs.steps import watch_fulfiller
from mappings.model.errors import NeedsPerson


def test_a_task_that_nothing_is_known_of_is_a_sentence_to_a_person(monkeypatch):
    monkeypatch.setattr(watch_fulfiller, "find_own", lambda ctx, endpoint, kind: None)
    ctx = Mock()
    ctx.server.return_value.read_if_there.side_effect = AssertionError("nothing can be asked for")
    with pytest.raises(NeedsPerson, match="our Task is no longer at mercy"):
        watch_fulfiller._read_task(ctx, Mock(fulfiller="mercy"))
