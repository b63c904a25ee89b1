"""Whatever goes wrong, on either platform and for either write: one call at most, and a message that tells the truth.

One fault of each kind is played here, in one cell of its row; `make faults` plays and prints them all.
"""

from __future__ import annotations

import pytest

from tests.writes.fault_matrix import CELLS, FAULTS, played

OF_EACH_KIND = (
    "double click on two replicas",
    "four deliveries of one click",
    "job finished in between",
    "right taken away in between",
    "answer of the call lost, had arrived",
    "500 on the call",
    "database gone at the click",
    "killed at before the call",
    "killed at behind the call",
)


def test_each_of_them_is_one_of_the_matrix() -> None:
    assert set(OF_EACH_KIND) <= set(FAULTS)


@pytest.mark.parametrize(("at", "fault"), tuple(enumerate(OF_EACH_KIND)), ids=OF_EACH_KIND)
async def test_one_call_at_most_and_a_true_message(at: int, fault: str) -> None:
    platform, command = CELLS[at % len(CELLS)]
    result = await played(fault, platform, command)
    assert result.calls <= 1
    assert result.true, result
