"""Whatever text stands wherever: every rendering stays within its platform's rules and means what it says."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from datetime import UTC, date, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console

from adapters.slack import blocks as slack
from adapters.teams import adaptive as teams
from adapters.terminal.text import render_rich, render_text
from bot.model.cards import (
    HEADLINE_LENGTH,
    Answer,
    Button,
    Card,
    Chart,
    Choices,
    Column,
    Confirm,
    Cost,
    Day,
    Dismiss,
    Drawing,
    Fact,
    Facts,
    Flag,
    Input,
    Missing,
    Moment,
    Notice,
    Number,
    OpenUrl,
    Point,
    Reader,
    Source,
    Status,
    Submit,
    Table,
    Text,
    Tone,
    Verdict,
    Words,
    buttons,
    headline,
)
from bot.model.people import Person
from bot.render.card_json import dumps, to_json
from tests.platform_rules import (
    assert_shows_only_what_is_seen,
    assert_slack_ok,
    assert_teams_ok,
    slack_texts,
    teams_texts,
)
from tests.render.family import look

AT = datetime(2026, 11, 21, 22, 56, tzinfo=UTC)
SNIPPETS = (
    "<!channel>",
    "<!here>",
    "<@U1>",
    "<#C1>",
    "<https://evil.example|safe>",
    "<at>everyone</at>",
    "*bold* _it_ ~gone~",
    "`code` ```block```",
    "[pay](https://evil.example)",
    "![](https://evil.example/x.png)",
    "# heading",
    "- item",
    "&lt;!channel&gt;",
    "<img src=x onerror=alert(1)>",
    "<speak>hello</speak>",
    ":tada:",
    "[bold red]rich[/] [link=https://e.example]x[/link]",
    "${x} {{y}} %s {0}",
    "株式会社日立",
    "שלום עולם",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467",
)
_STEERING = (
    "\x1b[2J",
    "\x1b]8;;https://evil.example\x07",
    "\x9b31m",
    "\r",
    "\x08\x08",
    "\x00",
    "\u202e",
    "\u2066",
    "\u200b",
    "\ud83d",
)

texts = st.one_of(
    st.text(max_size=30),
    st.lists(st.sampled_from(SNIPPETS + _STEERING) | st.text(max_size=4), max_size=6).map("".join),
    st.sampled_from(["x", "界", "\U0001f600", "é ", "\u0301", "&", "\n", "\\"]).flatmap(
        lambda char: st.sampled_from([80, 160, 3000]).map(lambda size: char * size)
    ),
)
numbers = st.builds(
    Number, st.integers() | st.floats() | st.decimals(), texts, texts, st.none() | st.sampled_from(Verdict)
)
cells = st.one_of(
    texts.map(Words),
    numbers,
    st.builds(Moment, st.datetimes(timezones=st.just(UTC)), texts),
    st.dates().map(Day),
    st.booleans().map(Flag),
    st.just(Missing()),
)
actions = st.one_of(
    texts.filter(bool).map(look),
    st.sampled_from(["tk_1", "tk_2"]).map(Confirm),
    st.just(Dismiss("tk_1")),
    st.one_of(st.just("https://acme.celonis.cloud/x"), texts).map(OpenUrl),
)
pressed = st.builds(Button, texts, actions, st.sampled_from(Tone))


@st.composite
def tables(draw: st.DrawFn) -> Table:
    wide = draw(st.sampled_from([1, 2, 4, 5, 20, 21]))
    row = st.tuples(*[cells] * min(wide, 3)).map(lambda some: (*some, *([Words("x")] * (wide - len(some)))))
    some = draw(st.lists(row, max_size=3))
    repeated = tuple(some * draw(st.sampled_from([1, 1, 60])))
    heads = tuple(Column(draw(texts), draw(st.booleans())) for _ in range(min(wide, 3)))
    return Table(
        (*heads, *([Column("c")] * (wide - len(heads)))),
        repeated,
        draw(st.sampled_from([0, 12])),
    )


charts = st.builds(
    Chart,
    texts,
    texts,
    st.sampled_from(Drawing),
    st.lists(st.builds(Point, cells, numbers | st.just(Missing())), max_size=40).map(tuple),
    st.none() | numbers,
)
blocks = st.one_of(
    charts,
    st.builds(Text, texts, st.booleans(), st.booleans()),
    st.lists(st.builds(Fact, texts, cells), max_size=4).map(tuple).map(Facts),
    tables(),
    st.builds(Notice, st.sampled_from(Tone), texts),
    st.builds(Choices, texts, st.lists(pressed, max_size=9).map(tuple)),
)
typed = st.builds(
    Input,
    texts,
    texts,
    st.builds(Button, texts, texts.filter(bool).map(look).map(lambda run: Submit(run.intent))),
)
sources = st.builds(
    Source,
    texts,
    st.just(AT),
    texts,
    st.none() | st.just(AT),
    st.booleans(),
    st.lists(st.builds(Cost, texts, st.integers(1, 9), st.integers(0)), max_size=3).map(tuple),
    st.integers(0, 9),
    st.booleans(),
)


@st.composite
def cards(draw: st.DrawFn) -> Answer:
    body = draw(st.lists(blocks, max_size=5).map(tuple))
    if draw(st.booleans()):
        body = (*body, draw(typed))
    card = Card(
        headline(draw(texts)),
        title=draw(texts),
        blocks=body,
        buttons=draw(st.lists(pressed, max_size=9).map(tuple)),
        source=draw(st.none() | sources),
        status=draw(st.sampled_from(Status)),
        sentence=draw(texts),
        reference=draw(texts),
    )
    zone, locale = (
        draw(st.sampled_from(["Europe/Berlin", "?"])),
        draw(st.sampled_from(["en", "de", "ar", "?"])),
    )
    return Answer(card, reader=Reader(zone, locale))


def stand_in(sentence: str) -> str:
    return f"~{hash(sentence) & 0xFFFF_FFFF:08x}"


thorough = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@thorough
@given(cards())
def test_no_text_wherever_makes_a_message_that_slack_refuses_or_misreads(answer: Answer) -> None:
    for charts in (False, True):
        assert_slack_ok(slack.render(answer.card, answer.reader, stand_in, charts=charts))


@thorough
@given(cards())
def test_no_text_wherever_makes_a_card_that_teams_refuses_or_misreads(answer: Answer) -> None:
    for charts in (False, True):
        assert_teams_ok(teams.render(answer.card, answer.reader, stand_in, charts=charts))


@thorough
@given(cards())
def test_no_text_wherever_steers_a_terminal(answer: Answer) -> None:
    card, reader = answer.card, answer.reader
    plain = render_text(card, reader)
    assert_shows_only_what_is_seen(plain)
    out = io.StringIO()
    Console(file=out, width=80, force_terminal=True, color_system="truecolor", legacy_windows=False).print(
        render_rich(card, reader)
    )
    drawn = re.sub(r"\x1b\[[\d;]*m", "", out.getvalue())
    assert_shows_only_what_is_seen(drawn)
    for number in range(1, len(buttons(card)) + 1):
        assert f"[{number}] " in plain
        assert f"[{number}] " in drawn


@thorough
@given(cards())
def test_no_text_wherever_breaks_the_json_form(answer: Answer) -> None:
    written = dumps(answer)
    assert written.isascii()
    assert not re.search(r"[^\n\x20-\x7e]", written)
    assert json.loads(written) == to_json(answer)


@given(texts, texts)
def test_a_mention_reaches_nobody_but_the_person_meant(name: str, said: str) -> None:
    for platform, person_id in (("slack", "U1"), ("teams", "29:1abc_D-e"), ("slack", said), ("teams", said)):
        person = Person(platform, "T1", person_id, name)
        message, card = slack.render_mention((person,), said), teams.render_mention((person,), said)
        assert_slack_ok(message)
        assert_teams_ok(card)
        mentions = re.findall(r"<@(.*?)>", message.text)
        slack_id = platform == "slack" and re.fullmatch(r"[UW][A-Z0-9]{1,20}", person_id)
        assert mentions == ([person_id] if slack_id else [])
        entities = card.get("msteams", {}).get("entities", [])
        assert [each["mentioned"]["id"] for each in entities] == (
            [person_id] if person_id.startswith("29:") else []
        )


@given(texts, texts)
def test_several_people_are_mentioned_each_by_their_own_id(name: str, other: str) -> None:
    slack_people = [Person("slack", "T1", f"U{number}", name) for number in range(3)]
    assert re.findall(r"<@(.*?)>", slack.render_mention(slack_people, other).text) == ["U0", "U1", "U2"]
    teams_people = [
        Person("teams", "T1", f"29:{number}", called) for number, called in enumerate((name, name, other))
    ]
    card = teams.render_mention(teams_people, other)
    assert_teams_ok(card)
    entities = card["msteams"]["entities"]
    assert [each["mentioned"]["id"] for each in entities] == ["29:0", "29:1", "29:2"]
    assert len({each["text"] for each in entities}) == 3
    assert all(each["text"] in card["body"][0]["text"] for each in entities)


# --- nothing is swallowed --------------------------------------------------------------------------------------

PLACES: dict[str, Callable[[str], Card]] = {
    "headline": Card,
    "title": lambda text: Card("x", title=text),
    "paragraph": lambda text: Card("x", blocks=(Text(text),)),
    "quiet paragraph": lambda text: Card("x", blocks=(Text(text, quiet=True),)),
    "code": lambda text: Card("x", blocks=(Text(text, code=True),)),
    "fact label": lambda text: Card("x", blocks=(Facts((Fact(text, Missing()),)),)),
    "fact": lambda text: Card("x", blocks=(Facts((Fact("a", Words(text)),)),)),
    "unit": lambda text: Card("x", blocks=(Facts((Fact("a", Number(1, "", text)),)),)),
    "heading": lambda text: Card("x", blocks=(Table((Column(text),), ((Missing(),),)),)),
    "cell": lambda text: Card("x", blocks=(Table((Column("a"),), ((Words(text),),)),)),
    "cell of a wide table": lambda text: Card(
        "x", blocks=(Table((Column("a"),) * 21, ((Words(text),) * 21,)),)
    ),
    "chart": lambda text: Card(
        "x", blocks=(Chart(text, text, Drawing.BARS, (Point(Missing(), Number(1)),)),)
    ),
    "point": lambda text: Card(
        "x", blocks=(Chart("a", "b", Drawing.LINE, (Point(Words(text), Number(1)),)),)
    ),
    "notice": lambda text: Card("x", blocks=(Notice(Tone.DANGER, text),)),
    "prompt": lambda text: Card("x", blocks=(Choices(text, (Button("a", Confirm("t")),)),)),
    "choice": lambda text: Card("x", blocks=(Choices("a", (Button(text, Confirm("t")),)),)),
    "entry of a menu": lambda text: Card("x", blocks=(Choices("a", (Button(text, Confirm("t")),) * 7),)),
    "button": lambda text: Card("x", buttons=(Button(text, Confirm("t")),)),
    "connection": lambda text: Card("x", source=Source(text, AT)),
    "knowledge model": lambda text: Card("x", source=Source("a", AT, text)),
    "sentence": lambda text: Card("x", sentence=text),
    "reference": lambda text: Card("x", reference=text),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("snippet", SNIPPETS)
def test_foreign_text_is_shown_as_the_characters_it_has(place: str, snippet: str) -> None:
    card = PLACES[place](snippet)
    assert any(snippet in text for text in slack_texts(slack.render(card, Reader()).blocks))
    assert any(snippet in text for text in teams_texts(teams.render(card, Reader())))
    assert snippet in render_text(card, Reader())
    out = io.StringIO()
    Console(file=out, width=180, color_system=None).print(render_rich(card, Reader()))
    assert snippet in out.getvalue()


@pytest.mark.parametrize("snippet", SNIPPETS)
def test_the_notification_reads_like_the_headline(snippet: str) -> None:
    text = slack.render(Card(f"STOPPED: {snippet}"), Reader()).text
    assert text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&") == f"STOPPED: {snippet}"


@pytest.mark.parametrize("place", [place for place in PLACES if place not in ("headline", "code")])
def test_what_is_too_long_is_cut_where_one_sees_it(place: str) -> None:
    card = PLACES[place]("word " * 3000)
    for shown in (
        slack_texts(slack.render(card, Reader()).blocks),
        teams_texts(teams.render(card, Reader())),
    ):
        assert any("…" in text or "do not fit" in text for text in shown)


def test_a_headline_is_never_longer_than_it_may_be() -> None:
    assert len(headline("word " * 100)) <= HEADLINE_LENGTH
    assert headline("  \n ") == "…"
    with pytest.raises(ValueError, match="1 to 120"):
        Card("x" * (HEADLINE_LENGTH + 1))


def test_day_cells_need_no_zone() -> None:
    card = Card(
        "x",
        blocks=(Facts((Fact("Due", Day(date(2026, 3, 1))),)),),
    )
    assert "1 Mar 2026" in render_text(card, Reader("Pacific/Kiritimati"))
