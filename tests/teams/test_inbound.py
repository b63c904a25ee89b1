"""What may come from Teams, and what is read of it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.http import NotRead
from adapters.teams.payloads import Kind, read, without_mention
from bot.model.people import Visibility
from tests.fake_teams import BOT, CHANNEL, FOREIGN, GROUP, PERSONAL, TENANT, Account, FakeTeams, Json, Scope

CLERK = Account("clerk", 3)
TEAMS = FakeTeams((CLERK,))
TEAMS.url = "https://smba.example"


def said(text: str = "hi", scope: Scope = PERSONAL, **changes: Any) -> Json:
    return TEAMS.said(CLERK, text, scope, **changes)


def accept(body: Any, *, loopback: bool = False) -> Any:
    return read(body, tenants={TENANT}, hosts={"smba.example", "*.teams.example"}, loopback=loopback)


def test_a_message_gives_person_place_text_zone_and_locale() -> None:
    arrival = accept(said("kpis of Order to Cash"))
    assert arrival.kind is Kind.TEXT
    assert arrival.text == "kpis of Order to Cash"
    assert arrival.person.key == f"teams:{TENANT}:{CLERK.object_id}"
    assert arrival.place.key == f"teams:{TENANT}:a:clerk"
    assert (arrival.zone, arrival.locale) == ("Europe/Berlin", "en_GB")


@pytest.mark.parametrize(
    ("scope", "visibility", "place", "thread"),
    [
        (PERSONAL, Visibility.PERSONAL, "a:clerk", ""),
        (GROUP, Visibility.GROUP, "19:group@thread.v2", ""),
        (CHANNEL, Visibility.CHANNEL, "19:channel@thread.tacv2", "1700000000001"),
        (Scope("meeting", "19:m"), Visibility.CHANNEL, "19:m", ""),
    ],
)
def test_a_thread_belongs_to_its_channel_and_unknown_places_count_as_public(
    scope: Scope, visibility: Visibility, place: str, thread: str
) -> None:
    arrival = accept(said("hi", scope))
    assert (arrival.place.visibility, arrival.place.id, arrival.place.thread) == (visibility, place, thread)


def test_person_and_home_never_come_from_names_or_data() -> None:
    body = said()
    body["from"] = {"id": CLERK.user, "name": "operator", "aadObjectId": CLERK.object_id.upper()}
    body["value"] = {"tenant": FOREIGN, "aadObjectId": "somebody else"}
    arrival = accept(body)
    assert (arrival.person.id, arrival.person.home) == (CLERK.object_id, TENANT)


@pytest.mark.parametrize(
    "account", [{}, {"aadObjectId": ""}, {"aadObjectId": 7}, {"aadObjectId": "a b"}, None]
)
def test_who_has_no_account_is_nobody(account: object) -> None:
    assert accept(said() | {"from": account}).person is None


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"channelId": "emulator"}, 403),
        ({"channelId": None}, 403),
        ({"serviceUrl": None}, 400),
        ({"serviceUrl": ""}, 400),
        ({"serviceUrl": "http://smba.example/"}, 400),
        ({"serviceUrl": "http://127.0.0.1:1/"}, 400),
        ({"serviceUrl": "https://"}, 400),
        ({"serviceUrl": "https://a@smba.example/"}, 400),
        ({"serviceUrl": "https://evil.example/"}, 400),
        ({"serviceUrl": "https://smba.example.evil.example/"}, 400),
        ({"serviceUrl": "https://evil.example/smba.example/"}, 400),
        ({"serviceUrl": "https://evilsmba.example/"}, 400),
        ({"serviceUrl": "https://teams.example/"}, 400),
        ({"serviceUrl": "https://smba.example:8443/"}, 400),
        ({"serviceUrl": "https://smba.example:x/"}, 400),
        ({"serviceUrl": "https://smba.example/?x=1"}, 400),
        ({"serviceUrl": "https://[::1/"}, 400),
        ({"serviceUrl": ["https://smba.example/"]}, 400),
        ({"channelData": None}, 403),
        ({"channelData": {"tenant": {"id": FOREIGN}}}, 403),
        ({"channelData": {"tenant": TENANT}}, 403),
        ({"conversation": {"id": "a:clerk", "conversationType": "personal"}}, 403),
        ({"conversation": {"id": "", "tenantId": TENANT}}, 400),
        ({"conversation": {"id": "x" * 5000, "tenantId": TENANT}}, 400),
        (
            {
                "channelData": {"tenant": {"id": FOREIGN}},
                "conversation": {"id": "a:clerk", "conversationType": "personal", "tenantId": FOREIGN},
            },
            403,
        ),
    ],
)
def test_what_comes_from_elsewhere_or_cannot_be_answered_is_refused(change: Json, status: int) -> None:
    with pytest.raises(NotRead) as caught:
        accept(said() | change)
    assert caught.value.status == status


@pytest.mark.parametrize(
    "service", ["https://smba.example/emea/", "https://SMBA.example:443/", "https://infra.teams.example/"]
)
def test_answers_go_to_the_hosts_of_the_settings(service: str) -> None:
    assert accept(said(serviceUrl=service)).service == service


def test_a_service_on_this_machine_is_good_in_development_only() -> None:
    assert accept(said(serviceUrl="http://127.0.0.1:3/"), loopback=True).service == "http://127.0.0.1:3/"
    with pytest.raises(NotRead):
        accept(said(serviceUrl="http://smba.example/"), loopback=True)


def test_a_message_in_a_group_that_does_not_mention_the_bot_is_not_for_it() -> None:
    assert accept(said("hi", GROUP, entities=[])).kind is Kind.OTHER
    assert accept(said("hi", GROUP)).kind is Kind.TEXT


def _mention(text: str, whose: str, name: str = "") -> Json:
    return {"type": "mention", "text": text, "mentioned": {"id": whose, "name": name}}


@pytest.mark.parametrize(
    ("text", "entities", "left"),
    [
        ("<at>Jobs</at> list Jobs of alice", [_mention("<at>Jobs</at>", BOT)], "list Jobs of alice"),
        ("list Jobs&nbsp; <at>Jobs</at>", [_mention("<at>Jobs</at>", BOT)], "list Jobs"),
        (
            "<at>B</at> may <at>Ann</at> cancel",
            [_mention("<at>Ann</at>", "29:a", "Ann"), _mention("<at>B</at>", BOT)],
            "may Ann cancel",
        ),
        ("<at>B</at> value &gt; 10k &amp; x", [_mention("<at>B</at>", BOT)], "value > 10k & x"),
        ("<at>B</at>", [_mention("<at>B</at>", BOT)], ""),
    ],
)
def test_only_the_mention_itself_goes(text: str, entities: list[Json], left: str) -> None:
    assert without_mention(text, entities, BOT) == (left, True)


@pytest.mark.parametrize("entities", [None, 7, [7], [{}], [{"type": "mention"}], [_mention("", BOT)]])
def test_odd_entities_change_nothing(entities: object) -> None:
    assert without_mention("jobs", entities, BOT) == ("jobs", False)


def test_a_press_is_told_from_a_client_that_presses_by_itself() -> None:
    def press(**value: object) -> Any:
        return accept(said() | {"type": "invoke", "name": "adaptiveCard/action", "value": value})

    assert not press(action={"data": {"run": "jobs"}}, trigger="manual").automatic
    assert press(action={"data": {"run": "jobs"}}, trigger="automatic").automatic
    assert press(action=7).value is None


@pytest.mark.parametrize("locale", ["", "xx-YY-zz", "de_DE", "-" * 50, "../../etc"])
def test_an_unknown_locale_is_none(locale: str) -> None:
    assert accept(said(locale=locale)).locale is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = [*said("x", CHANNEL), "value", "name", "replyToId", "action"]


@given(changes=st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=4))
def test_junk_is_refused_or_read_but_never_breaks(changes: Json) -> None:
    refused, home = 0, TENANT
    try:
        home = accept(said("x", CHANNEL) | changes).place.home
    except NotRead as error:
        refused = error.status
    assert refused in (0, 400, 403)
    assert home == TENANT
