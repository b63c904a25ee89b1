"""Whatever goes wrong, on either platform and for either write: one call at most, and a message that tells the truth.

Each fault is played in one cell of its row here; `make faults` plays and prints them all.
"""

from __future__ import annotations

import pytest

from tests.writes.fault_matrix import CELLS, FAULTS, played


@pytest.mark.parametrize(("at", "fault"), tuple(enumerate(FAULTS)), ids=tuple(FAULTS))
async def test_one_call_at_most_and_a_true_message(at: int, fault: str) -> None:
    platform, command = CELLS[at % len(CELLS)]
    result = await played(fault, platform, command)
    assert result.calls <= 1
    assert result.true, result
