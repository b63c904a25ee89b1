"""Copies of the bot that answer the same clicks; see `tests.writes.two_programs` for more of them."""

from tests.writes.two_programs import race


async def test_each_question_that_two_programs_answer_at_once_leads_to_one_call() -> None:
    tally = await race(12)
    assert tally.one_each, tally
    assert (tally.asked, tally.clicks) == (12, 24)
