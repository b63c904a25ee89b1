"""Whatever three people say and click in whatever order: no call without a click of somebody who may, one a question."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from bot.audit import Verified
from bot.model.cards import HEADLINE_LENGTH, Confirm, Dismiss, Status
from bot.model.people import Clicked, Person, Said
from bot.sandbox import Switches
from bot.writes.ticket import Outcome, State
from tests.story import CHANNEL, CLERK, OPERATOR, SECOND, Stage, StoryClock, all_buttons, stage

ALLOWED = (OPERATOR, SECOND)
PEOPLE = st.sampled_from((OPERATOR, SECOND, CLERK))
SENTENCES = st.sampled_from(
    (
        "stop main job",
        "stop final job in SAP ECC",
        "cancel",
        "yes",
        "ok",
        "no",
        "do it",
        "refresh",
        "jobs",
        "stop mian jbo",
        "cancel everything",
        "refresh stop main job",
    )
)


@dataclass(frozen=True)
class Says:
    person: Person
    text: str


@dataclass(frozen=True)
class Clicks:
    """One or two people click on one question at the same moment."""

    people: tuple[Person, ...]
    question: int
    confirm: bool


@dataclass(frozen=True)
class Happens:
    what: str


MOVES = st.lists(
    st.one_of(
        st.builds(Says, PEOPLE, SENTENCES),
        st.builds(
            Clicks,
            st.lists(PEOPLE, min_size=1, max_size=2).map(tuple),
            st.integers(0, 3),
            st.sampled_from((True, True, False)),
        ),
        st.builds(Happens, st.sampled_from(("time", "finish", "restart", "start", "recovery"))),
    ),
    min_size=2,
    max_size=8,
)


async def play(scene: Stage, moves: list[Says | Clicks | Happens]) -> None:
    questions: list[tuple[str, str]] = []
    sent: Counter[str] = Counter()
    for move in moves:
        before, ticket, may = len(scene.cancels()), "", False
        cards = []
        match move:
            case Says(person, text):
                cards = await scene.cards(Said(text), person, CHANNEL)
            case Clicks(people, number, confirm) if questions:
                pair = questions[number % len(questions)]
                ticket, may = pair[0], confirm and bool(set(people) & set(ALLOWED))
                click = Clicked(confirm=ticket) if confirm else Clicked(dismiss=pair[1])
                answers = await asyncio.gather(*(scene.cards(click, each, CHANNEL) for each in people))
                cards = [card for answer in answers for card in answer]
            case Happens("time"):
                scene.clock.pass_by(301)
            case Happens("recovery"):
                await scene.built.bot.recover()
            case Happens(what):
                getattr(scene.sandbox.pools, what)(scene.sandbox.pools.find("main job"))
            case _:
                pass
        made = len(scene.cancels()) - before
        assert made <= may, f"{made} calls by {move}"
        sent[ticket] += made
        assert sent[ticket] <= 1
        for card in cards:
            assert 1 <= len(card.headline) <= HEADLINE_LENGTH
            assert not (card.headline.startswith("STOPPED") and not sent[ticket])
            asked = [each.action for each in all_buttons(card)]
            yes = [each.ticket for each in asked if isinstance(each, Confirm)]
            no = [each.ticket for each in asked if isinstance(each, Dismiss)]
            assert len(yes) == len(no) == (card.status is Status.QUESTION)
            questions += zip(yes, no, strict=True)
    for ticket, _ in questions:
        kept = await scene.built.tickets.load(ticket)
        assert kept is not None
        assert not (sent[ticket] and kept.state is not State.DONE)
        if kept.outcome in {Outcome.NOTHING_SENT, Outcome.ALREADY_OVER}:
            assert not sent[ticket]
    assert isinstance(await scene.built.audit.verify(), Verified)


@settings(max_examples=12, deadline=None)
@given(MOVES)
def test_no_call_without_a_click_of_somebody_who_may_and_one_a_question_at_most(
    moves: list[Says | Clicks | Happens],
) -> None:
    async def told() -> None:
        switches = Switches(cancel_delay=0.5, run_duration=1e9)
        async with stage(switches=switches, clock=StoryClock(pace=50.0)) as scene:
            await play(scene, [Says(OPERATOR, "stop main job"), *moves])

    asyncio.run(told())
