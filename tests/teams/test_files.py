"""Files on Teams, over signed HTTP: only with the consent of the person who asked, into their own OneDrive, once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from http import HTTPStatus

import pytest

from bot import config
from tests.fake_teams import CHANNEL, FILE_CONSENT, FILE_INFO, TENANT, Account, Json, Message
from tests.teams.stage import CLERK, LONER, SECOND, Stage, stage

EXPORT = 'export data Customers of "Order to Cash"'


@pytest.fixture
async def scene() -> AsyncIterator[Stage]:
    who = config.Who(teams=tuple(f"{TENANT}:{each.object_id}" for each in (CLERK, LONER)))
    rule = config.Rule(name="export", who=who, may=(config.Right.READ, config.Right.EXPORT))
    async with stage(policy=(rule,)) as opened:
        yield opened


async def offered(scene: Stage) -> Message:
    await scene.says(CLERK, EXPORT)
    (card,) = [
        each
        for each in scene.teams.seen(CLERK.personal)
        if any(part["contentType"] == FILE_CONSENT for part in each.body.get("attachments", []))
    ]
    return card


async def answered(scene: Stage, who: Account, body: Json) -> Message:
    status, _ = await scene.post(body)
    assert status == 200
    await scene.settle()
    return scene.teams.last(who.personal)


async def test_a_file_lies_in_onedrive_once_its_person_wants_it(scene: Stage) -> None:
    card = await offered(scene)
    (asked,) = card.body["attachments"]
    assert asked["name"].startswith("customers-2026-")
    assert "12 rows of Customers" in asked["content"]["description"]
    assert scene.teams.uploads == []
    shown = await answered(scene, CLERK, scene.teams.consents(CLERK, card))
    (content,) = scene.teams.uploads
    assert len(content) == asked["content"]["sizeInBytes"]
    assert b"Alpine Sports AG" in content
    (info,) = shown.body["attachments"]
    assert info["contentType"] == FILE_INFO
    assert info["contentUrl"].endswith(asked["name"])
    again = await answered(scene, CLERK, scene.teams.consents(CLERK, card))
    assert "not have that file any more" in again.text
    assert len(scene.teams.uploads) == 1


async def test_a_file_that_nobody_wants_is_thrown_away(scene: Stage) -> None:
    card = await offered(scene)
    shown = await answered(scene, CLERK, scene.teams.consents(CLERK, card, accept=False))
    assert "thrown" in shown.text
    await answered(scene, CLERK, scene.teams.consents(CLERK, card))
    assert scene.teams.uploads == []


async def test_nobody_else_gets_the_file_and_it_goes_nowhere_else(scene: Stage) -> None:
    card = await offered(scene)
    shown = await answered(scene, SECOND, scene.teams.consents(SECOND, card))
    assert "not have that file" in shown.text
    for url in ("https://example.com/x", "http://169.254.169.254/x", "https://sharepoint.com.example.org/x"):
        shown = await answered(scene, CLERK, scene.teams.consents(CLERK, card, url=url))
        assert "only" in shown.text
    assert scene.teams.uploads == []


async def test_a_file_that_onedrive_does_not_take_can_be_taken_later(scene: Stage) -> None:
    card = await offered(scene)
    scene.teams.stored_with = HTTPStatus.SERVICE_UNAVAILABLE
    shown = await answered(scene, CLERK, scene.teams.consents(CLERK, card))
    assert "Press the button again" in shown.text
    scene.teams.stored_with = HTTPStatus.CREATED
    await answered(scene, CLERK, scene.teams.consents(CLERK, card))
    assert len(scene.teams.uploads) == 1


async def test_after_a_quarter_of_an_hour_it_is_gone(scene: Stage) -> None:
    card = await offered(scene)
    scene.clock.pass_by(16 * 60)
    shown = await answered(scene, CLERK, scene.teams.consents(CLERK, card))
    assert "not have that file" in shown.text


async def test_a_file_asked_for_in_a_channel_is_offered_in_the_personal_chat(scene: Stage) -> None:
    await scene.says(CLERK, EXPORT, CHANNEL)
    place = CHANNEL.id
    assert all("attachments" not in each.body or each.card for each in scene.teams.seen(place))
    assert any(
        part["contentType"] == FILE_CONSENT
        for each in scene.teams.seen(CLERK.personal)
        for part in each.body.get("attachments", [])
    )
    line = await scene.says(LONER, EXPORT, CHANNEL)
    assert "Customers" not in line.text
