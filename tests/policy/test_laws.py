"""What holds for every policy there can be."""

from __future__ import annotations

from dataclasses import replace
from fnmatch import fnmatchcase

from hypothesis import assume, given
from hypothesis import strategies as st

from bot.config import Binding, HiddenField, On, Rule, Settings, Who
from bot.model.names import Name
from bot.model.people import Person, Place, Profile, Standing, Visibility
from bot.policy import Asker, Policy, Right, Touch

BOUND = (
    Binding(slack="T1", connections=("prod", "test")),
    Binding(slack="T2", connections=("test",)),
    Binding(local=True, connections=("prod",)),
)
DATA = ("model", "record", "field", "kpi", "filter")
JOBS = ("pool", "job")
DIMENSIONS = ("connection", *DATA, *JOBS)

patterns = st.sampled_from(("*", "main*", "id-1", "?ain job", "final*", "id-2"))
texts = st.lists(patterns, min_size=1, max_size=2).map(tuple)
names = st.sampled_from((Name("main job", "id-1"), Name("Main Job", "id-2"), Name("final job", "id-1")))
connections = st.sampled_from(("prod", "test")).map(lambda each: Name(each, each))
branches: st.SearchStrategy[tuple[str, ...]] = st.sampled_from(
    (
        (),
        ("model",),
        ("model", "record"),
        ("model", "record", "field"),
        ("model", "kpi"),
        ("model", "filter"),
        ("pool",),
        ("pool", "job"),
        ("job",),
        ("record", "kpi"),
        ("field",),
    )
)
rights = st.sampled_from(Right)
whos = st.sampled_from(
    (
        Who(slack=("T1:U1",)),
        Who(slack=("T1:*", "T2:U2")),
        Who(slack=("T2:*",), local=("*",)),
        Who(email=("*@example.com",)),
        Who(groups=("slack:T1:S1", "slack:T2:S1")),
        Who(local=("U1",)),
        Who(places=("slack:T1:C1",)),
        Who(places=("slack:T1:*", "local:T1:*")),
        Who(slack=("T1:*",), places=("slack:T1:C1",)),
        Who(),
    )
)


@st.composite
def touching(draw: st.DrawFn) -> Touch:
    if draw(st.integers(0, 9)) == 0:
        dimensions = draw(st.sets(st.sampled_from((*DATA, *JOBS))))
        connection = draw(st.one_of(connections, st.none(), st.just(Name("other", "other"))))
    else:
        dimensions, connection = set(draw(branches)), draw(connections)
    return Touch(connection=connection, **{each: draw(names) for each in sorted(dimensions)})


@st.composite
def ruling(draw: st.DrawFn) -> Rule:
    dimensions = {*draw(branches), *draw(st.sampled_from(((), (), ("pool",), ("kpi",))))}
    on = {each: draw(texts) for each in sorted(dimensions)}
    if draw(st.integers(0, 3)) == 0:
        on["connection"] = draw(st.sampled_from((("prod",), ("te*",), ("*",))))
    return Rule(who=draw(whos), may=tuple(draw(st.sets(rights, min_size=1))), on=On(**on))


touches = touching()
rules = ruling()
rule_lists = st.lists(rules, max_size=5)
anywhere = st.just(())
hides = st.lists(
    st.builds(HiddenField, model=st.one_of(anywhere, texts), record=st.one_of(anywhere, texts), field=texts),
    max_size=1,
)
defaults = st.fixed_dictionaries({"members_read": st.booleans()})


@st.composite
def askers(draw: st.DrawFn, standings: tuple[Standing, ...] = (Standing.MEMBER,)) -> Asker:
    platform = draw(st.sampled_from(("slack", "slack", "slack", "local")))
    home = draw(st.sampled_from(("T1", "T1", "T2")))
    own = draw(st.sampled_from((home, home, home, "T1", "T2")))
    return Asker(
        Person(platform, own, draw(st.sampled_from(("U1", "U2")))),
        Profile(
            email=draw(st.sampled_from((None, "op@example.com", "op@example.org"))),
            groups=draw(st.sampled_from((None, frozenset({"S1"})))),
            standing=draw(st.sampled_from(standings)),
        ),
        Place(platform, home, draw(st.sampled_from(("C1", "C1", "C2"))), Visibility.CHANNEL),
    )


def policy(
    made: list[Rule], hidden: list[HiddenField] | None = None, *, members_read: bool = False
) -> Policy:
    return Policy(
        Settings(
            policy=tuple(made), bindings=BOUND, hide_fields=tuple(hidden or ()), members_read=members_read
        )
    )


@given(rule_lists, rules, st.integers(0, 4), hides, askers(), rights, touches, defaults)
def test_another_rule_never_takes_anything_away(
    made: list[Rule],
    more: Rule,
    place: int,
    hidden: list[HiddenField],
    asker: Asker,
    right: Right,
    touch: Touch,
    default: dict[str, bool],
) -> None:
    before = policy(made, hidden, **default)
    after = policy([*made[:place], more, *made[place:]], hidden, **default)
    assert after.may(asker, right, touch).allowed >= before.may(asker, right, touch).allowed
    assert after.may(asker, right).allowed >= before.may(asker, right).allowed
    assert after.public(asker.place, (touch,), outsiders=False) >= before.public(
        asker.place, (touch,), outsiders=False
    )
    assert after.connections(asker.place) == before.connections(asker.place)


@given(rule_lists, hides, askers(), rights, touches)
def test_whatever_is_allowed_some_single_rule_allows(
    made: list[Rule], hidden: list[HiddenField], asker: Asker, right: Right, touch: Touch
) -> None:
    alone = [policy([each], hidden).may(asker, right, touch).allowed for each in made if right in each.may]
    assert policy(made, hidden).may(asker, right, touch).allowed is any(alone)


@given(rule_lists, askers(), rights, touches)
def test_what_no_rule_grants_is_denied(made: list[Rule], asker: Asker, right: Right, touch: Touch) -> None:
    others = [each for each in made if right not in each.may]
    found = policy(others, members_read=right is not Right.READ)
    assert not found.may(asker, right, touch).allowed
    assert not found.may(asker, right).allowed
    assert not policy([each for each in made if Right.PUBLIC not in each.may]).public(
        asker.place, (touch,), outsiders=False
    )


@given(rule_lists, askers((Standing.GUEST, Standing.EXTERNAL, Standing.BOT)), rights, touches)
def test_nobody_but_full_members_is_ever_allowed_anything(
    made: list[Rule], asker: Asker, right: Right, touch: Touch
) -> None:
    assume(asker.person.platform != "local")
    found = policy(made, members_read=True)
    assert not found.may(asker, right, touch).allowed
    assert not found.may(asker, right).allowed


@given(rule_lists, askers(), rights, touches, st.sampled_from(("T9", "t1", "T1 ", "T1:U1", "*")))
def test_a_person_of_another_home_is_never_matched(
    made: list[Rule], asker: Asker, right: Right, touch: Touch, home: str
) -> None:
    assume(asker.person.platform == "slack")
    stranger = replace(asker, person=replace(asker.person, home=home))
    found = policy(made, members_read=True)
    assert not found.may(stranger, right, touch).allowed
    assert not any(found.may(stranger, each).allowed for each in Right)


@given(rule_lists, askers(), rights, touches, touches, defaults)
def test_what_one_may_not_see_is_refused_like_what_is_not_there(
    made: list[Rule], asker: Asker, right: Right, one: Touch, other: Touch, default: dict[str, bool]
) -> None:
    found = policy(made, None, **default)
    unseen = [
        found.may(asker, right, each)
        for each in (one, other)
        if each != Touch() and not found.sees(asker, each) and not found.may(asker, right, each).allowed
    ]
    assert len(set(unseen)) <= 1
    assert all(name.text not in each.sentence for each in unseen for name in (one.job, other.job) if name)


@given(rule_lists, hides, askers(), rights, touches)
def test_a_hidden_field_is_never_allowed_to_anybody(
    made: list[Rule], hidden: list[HiddenField], asker: Asker, right: Right, touch: Touch
) -> None:
    found = policy(made, hidden, members_read=True)
    if found.hidden({each: name for each in DIMENSIONS if (name := getattr(touch, each))}):
        assert not found.may(asker, right, touch).allowed
        assert not found.sees(asker, touch)
        assert not found.public(asker.place, (touch,), outsiders=False)


@given(rule_lists, askers(), rights, touches)
def test_rules_about_jobs_grant_nothing_on_data_and_the_other_way_round(
    made: list[Rule], asker: Asker, right: Right, touch: Touch
) -> None:
    for mine, theirs in ((JOBS, DATA), (DATA, JOBS)):
        about = [each for each in made if any(getattr(each.on, key) for key in mine)]
        if any(getattr(touch, key) is not None for key in theirs):
            assert not policy(about).may(asker, right, touch).allowed


@given(rule_lists, askers(), touches)
def test_whoever_sees_a_thing_sees_everything_that_it_lies_in(
    made: list[Rule], asker: Asker, touch: Touch
) -> None:
    found = policy(made)
    if found.sees(asker, touch):
        for inner in (("field", "job", "kpi", "filter"), ("record", "pool"), ("model",)):
            touch = replace(touch, **dict.fromkeys(inner))
            assert touch == Touch() or found.sees(asker, touch)


@given(rule_lists, askers(), st.lists(touches, max_size=3), rights)
def test_all_is_allowed_exactly_when_each_is(
    made: list[Rule], asker: Asker, touched: list[Touch], right: Right
) -> None:
    found = policy(made, members_read=True)
    decision = found.may_all(asker, right, tuple(touched))
    if touched:
        each = [found.may(asker, right, touch) for touch in touched]
        refused = [every for every in each if not every.allowed]
        assert decision == (refused or each[::-1])[0]
    else:
        assert decision == found.may(asker, right)


@given(rule_lists, askers(), rights, touches)
def test_where_a_thing_is_allowed_the_kind_of_thing_is_too(
    made: list[Rule], asker: Asker, right: Right, touch: Touch
) -> None:
    found = policy(made, members_read=True)
    if found.may(asker, right, touch).allowed:
        assert found.may(asker, right).allowed


@given(
    st.text(st.sampled_from("ab*? äß."), max_size=6),
    st.text(st.sampled_from("abAB äÄß.\n"), max_size=6),
)
def test_patterns_are_those_of_the_shell_in_any_case(pattern: str, text: str) -> None:
    found = policy([Rule(who=Who(slack=("T1:U1",)), may=(Right.CANCEL,), on=On(job=(pattern,)))])
    asker = Asker(
        Person("slack", "T1", "U1"),
        Profile(standing=Standing.MEMBER),
        Place("slack", "T1", "C1", Visibility.CHANNEL),
    )
    touch = Touch(connection=Name("prod", "prod"), job=Name(text, "some-id"))
    assert found.may(asker, Right.CANCEL, touch).allowed is fnmatchcase(text.casefold(), pattern.casefold())


@given(rule_lists, hides, askers((Standing.MEMBER, Standing.GUEST)), touches, defaults)
def test_a_view_shows_exactly_what_the_person_sees_from_there(
    made: list[Rule], hidden: list[HiddenField], asker: Asker, touch: Touch, default: dict[str, bool]
) -> None:
    found = policy(made, hidden, **default)
    assume(touch.connection is not None)
    assert touch.connection is not None
    view = found.view(asker, touch.connection.id)
    assert found.shows(view, touch) is found.sees(asker, touch)


@given(rule_lists, hides, askers(), askers(), touches, defaults)
def test_whoever_shares_a_view_sees_the_same(
    made: list[Rule],
    hidden: list[HiddenField],
    asker: Asker,
    other: Asker,
    touch: Touch,
    default: dict[str, bool],
) -> None:
    found = policy(made, hidden, **default)
    if found.view(asker, "prod") == found.view(other, "prod"):
        placed = replace(touch, connection=Name("prod", "prod"))
        assert found.sees(asker, placed) is found.sees(other, placed)


@given(rule_lists, hides, askers(), touches, defaults)
def test_what_a_view_shows_all_of_needs_no_judging(
    made: list[Rule], hidden: list[HiddenField], asker: Asker, touch: Touch, default: dict[str, bool]
) -> None:
    found = policy(made, hidden, **default)
    view = found.view(asker, "prod")
    deepest = {"field": ("model", "record"), "kpi": ("model",), "filter": ("model",), "job": ("pool",)}
    for part, within in {"model": (), "record": ("model",), "pool": (), **deepest}.items():
        container = {each: getattr(touch, each) or Name("main job", "id-1") for each in within}
        thing = getattr(touch, part) or Name("final job", "id-2")
        if found.shows_all(view, Touch(**container), part):
            assert found.shows(view, Touch(**container, **{part: thing}))
