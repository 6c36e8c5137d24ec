"""What a `with` block closes is closed once, even after an error."""

from __future__ import annotations

import pytest

from hipt.slides.closing import Closing


class Counted(Closing):
    """Counts how often it was closed."""

    closed = 0

    def close(self) -> None:
        self.closed += 1


def test_the_end_of_the_block_closes():
    with Counted() as first:
        assert first.closed == 0
    assert first.closed == 1
    second = Counted()
    with pytest.raises(KeyError), second:
        raise KeyError
    assert second.closed == 1
