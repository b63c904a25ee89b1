"""Sharing: what one person was shown, for everybody in the place, where they may see it at that moment."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from bot import config
from bot.commands.share import LABEL
from bot.model.cards import Answer, Button, Everyone, Only, Run, Status
from bot.model.people import Clicked, Person, Place, Said, Visibility
from tests.audit_log import recent
from tests.story import CHANNEL, CLERK, DIRECT, GUEST, HOME, Stage, all_buttons, answers_to, press, stage

KPI = 'kpi "On-time delivery" of "Order to Cash"'
OPEN = config.Rule(name="open", who=config.Who(places=(CHANNEL.key,)), may=(config.Right.PUBLIC,))


async def privately(
    scene: Stage, said: str | Clicked, person: Person = CLERK, place: Place = CHANNEL
) -> Answer:
    """The answer to what nobody else sees was asked, as to a slash command of Slack's."""
    utterance = Said(said) if isinstance(said, str) else said
    request = replace(scene.request(utterance, person, place), hidden=True)
    return (await answers_to(scene.built.bot, request))[-1]


def share_of(answer: Answer) -> Button | None:
    return next((each for each in all_buttons(answer.card) if each.label == LABEL), None)


def clicks(answer: Answer) -> Clicked:
    button = share_of(answer)
    assert button is not None
    pressed = press(button.action)
    assert isinstance(pressed, Clicked)
    return pressed


async def test_a_private_answer_is_shared_with_the_same_numbers_and_says_by_whom() -> None:
    async with stage(policy=[OPEN]) as scene:
        mine = await privately(scene, KPI)
        before = scene.asked()
        ours = await privately(scene, clicks(mine))
        assert scene.asked() == before
        assert ours.aloud
        assert ours.audience == Everyone()
        assert ours.card.headline == mine.card.headline
        assert ours.card.sentence == mine.card.sentence
        assert ours.card.source is not None
        assert mine.card.source is not None
        assert ours.card.source.data_loaded_at == mine.card.source.data_loaded_at
        assert "Shared by UCLERK." in repr(ours.card)
        assert "Read anew" not in repr(ours.card)
        assert share_of(ours) is None


async def test_what_the_cache_no_longer_holds_is_read_anew_and_that_is_said() -> None:
    async with stage(policy=[OPEN]) as scene:
        mine = await privately(scene, KPI)
        scene.clock.pass_by(6 * 3600)
        ours = await privately(scene, clicks(mine))
        assert ours.aloud
        assert "Read anew for this" in repr(ours.card)


@pytest.mark.parametrize(
    "said",
    [
        f'{KPI} where "Order date" = "last month"',
        f'{KPI} by Country where "Order date" = "last month"',
        'data "Sales orders" of "Order to Cash" where "Order date" = "last month"',
        'count "Sales orders" of "Order to Cash" where "Order date" = "last month"',
        f'{KPI} where "Order date" = "last month" against "last year"',
    ],
)
async def test_a_shared_period_stays_the_one_that_was_shown(said: str) -> None:
    async with stage(policy=[OPEN]) as scene:
        mine = await privately(scene, said)
        assert mine.card.status is Status.ANSWERED, mine.card
        click = clicks(mine)
        assert "2026-10-01 to 2026-10-31" in click.sentence
        assert "last" not in click.sentence
        before = scene.asked()
        ours = await privately(scene, click)
        assert scene.asked() == before, "the same question, so the same numbers"
        assert ours.aloud
        assert "2026-10-01 to 2026-10-31" in ours.card.sentence
        scene.clock.pass_by(timedelta(days=31).total_seconds())
        assert "2026-10-01 to 2026-10-31" in (await privately(scene, click)).card.sentence


@pytest.mark.parametrize(
    "said", ["otd of order to cash order date last month", "otd letzten monat bestelldatum"]
)
async def test_typed_and_clicked_are_the_same(said: str) -> None:
    async with stage(policy=[OPEN]) as scene:
        clicked = await privately(scene, clicks(await privately(scene, said)))
        for typed in (f"share here {said}", f"{said} with everybody here"):
            answer = await privately(scene, typed)
            assert answer.aloud
            assert answer.card.headline == clicked.card.headline
            assert answer.card.sentence == clicked.card.sentence
        seen = await scene.answer(f"share here {said}", CLERK, CHANNEL)
        assert seen.audience == Everyone()
        assert seen.card.headline == clicked.card.headline


async def test_the_button_stands_only_where_it_does_something() -> None:
    async with stage(policy=[OPEN]) as scene:
        assert share_of(await privately(scene, KPI)) is not None
        assert share_of(await scene.answer(KPI, CLERK, CHANNEL)) is None, "everybody sees it anyway"
        assert share_of(await privately(scene, KPI, place=DIRECT)) is None, "nobody else is there"
        for said in ("help", "whoami", "quota", f"curl {KPI}", "nothing that is known"):
            assert share_of(await privately(scene, said)) is None, said
    async with stage(policy=[]) as scene:
        mine = await privately(scene, KPI)
        assert isinstance(mine.audience, Only)
        assert share_of(mine) is None


async def test_what_is_public_is_judged_at_the_click() -> None:
    async with stage(policy=[OPEN]) as scene:
        mine = await privately(scene, KPI)
        scene.chat.with_outsiders = True
        refused = await privately(scene, clicks(mine))
        assert refused.card.status is Status.REFUSED
        assert refused.audience == Only(CLERK)
        assert "Guests or people of other organisations" in repr(refused.card)
        assert "can change that" in repr(refused.card)
        assert not refused.aloud


async def test_a_button_never_carries_more_than_its_sentence() -> None:
    """Whoever clicks, wherever: their own rights there decide."""
    elsewhere = Place("slack", HOME, "C7", Visibility.CHANNEL)
    async with stage(policy=[OPEN]) as scene:
        click = clicks(await privately(scene, KPI))
        before = scene.asked()
        for person, place in ((GUEST, CHANNEL), (CLERK, elsewhere), (CLERK, DIRECT)):
            answer = await privately(scene, click, person, place)
            assert answer.card.status is Status.REFUSED
            assert not answer.aloud
            assert "%" not in answer.card.headline
        assert scene.asked() == before
        assert "nobody to share with" in repr((await privately(scene, click, CLERK, DIRECT)).card)


READS = {
    "all": config.On(),
    "orders": config.On(model=("Order to Cash",)),
    "one kpi": config.On(model=("Order to Cash",), kpi=("On-time delivery",)),
    "another": config.On(model=("Accounts Payable",)),
    "pools": config.On(pool=("SAP ECC",)),
}
SENTENCES = (
    KPI,
    f"{KPI} by Country",
    'data "Sales orders" of "Order to Cash"',
    'count "Sales orders" of "Order to Cash"',
    'kpis of "Order to Cash"',
    'jobs in "SAP ECC"',
    "jobs",
)


@pytest.mark.parametrize("outsiders", [False, True])
@pytest.mark.parametrize("public", [*READS, ""])
@pytest.mark.parametrize("read", list(READS))
async def test_under_every_policy_typed_and_clicked_agree_and_nothing_is_shared_that_may_not_be(
    read: str, public: str, outsiders: bool
) -> None:
    who = config.Who(slack=(f"{HOME}:{CLERK.id}",))
    made = [config.Rule(name="reads", who=who, may=(config.Right.READ,), on=READS[read])]
    if public:
        made.append(OPEN.model_copy(update={"on": READS[public]}))
    async with stage(policy=made, members_read=False) as scene:
        scene.chat.with_outsiders = outsiders
        for said in SENTENCES:
            aloud = await scene.answer(said, CLERK, CHANNEL)
            quiet = await privately(scene, said)
            shared = await privately(scene, f"share here {said}")
            button = share_of(quiet)
            shown = aloud.audience == Everyone() and aloud.card.status is Status.ANSWERED
            assert (button is not None) is shown, said
            assert shared.aloud is shown, said
            if button is None:
                assert isinstance(shared.audience, Only), said
                assert "Shared by" not in repr(shared.card)
            else:
                assert isinstance(button.action, Run)
                clicked = await privately(scene, clicks(quiet))
                assert clicked.card.headline == shared.card.headline == aloud.card.headline, said
                assert clicked.aloud


async def test_sharing_is_on_record_even_where_reads_are_not() -> None:
    async with stage(policy=[OPEN]) as scene:
        mine = await privately(scene, KPI)
        assert not await recent(scene.built.audit, 10)
        await privately(scene, clicks(mine))
        rows = [each.entry for each in await recent(scene.built.audit, 10) if each.entry is not None]
        (row,) = rows
        assert row.right == "public"
        assert row.sentence.startswith("share here")


async def test_sharing_changes_nothing_of_what_goes_on() -> None:
    async with stage(policy=[OPEN]) as scene:
        mine = await privately(scene, f"{KPI} by Country")
        await privately(scene, clicks(mine))
        assert "Plant" in (await privately(scene, "by plant")).card.sentence


@pytest.mark.parametrize("said", ["help", "whoami", "quota", f"curl {KPI}", "stop main job", "export " + KPI])
async def test_only_answers_about_data_are_shared(said: str) -> None:
    async with stage(policy=[OPEN]) as scene:
        answer = await privately(scene, f"share here {said}")
        assert not answer.aloud
        assert scene.cancels() == []
