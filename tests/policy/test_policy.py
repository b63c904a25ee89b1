"""What single rules, defaults and places grant; the laws that hold for all of them are in `test_laws.py`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bot.config import Binding, Connection, HiddenField, On, Rule, Settings, Who
from bot.config.settings import Admin
from bot.model.names import Name
from bot.model.people import Person, Place, Profile, Standing, Visibility
from bot.policy import Asker, Policy, Right, Touch

TENANT = "11111111-1111-1111-1111-111111111111"
OBJECT = "22222222-2222-2222-2222-22222222222a"
MEMBER = Profile(standing=Standing.MEMBER)
OPERATOR = Person("slack", "T1", "U1")
CHANNEL = Place("slack", "T1", "C1", Visibility.CHANNEL)
ASKER = Asker(OPERATOR, MEMBER, CHANNEL)
BOUND = (Binding(slack="T1", connections=("prod",)), Binding(teams=TENANT, connections=("prod",)))
PROD = Name("prod", "prod")
SAP = Name("SAP ECC", "pool-1")
MAIN = Name("main job", "job-1")
MODEL = Name("Purchase to Pay", "p2p.km")
RECORD = Name("Invoices", "INVOICES")
FIELD = Name("Amount", "amount")
KPI = Name("On-time delivery", "OTD")
FILTER = Name("This year", "YTD")

JOB = Touch(connection=PROD, pool=SAP, job=MAIN)
POOL = Touch(connection=PROD, pool=SAP)
DATA = Touch(connection=PROD, model=MODEL, record=RECORD, field=FIELD)
RECORD_ITSELF = Touch(connection=PROD, model=MODEL, record=RECORD)
MODEL_ITSELF = Touch(connection=PROD, model=MODEL)
KPI_ITSELF = Touch(connection=PROD, model=MODEL, kpi=KPI)
FILTER_ITSELF = Touch(connection=PROD, model=MODEL, filter=FILTER)


def rights(found: Policy, asker: Asker = ASKER) -> set[Right]:
    return {each for each in Right if found.may(asker, each).allowed}


def policy(*rules: Rule, members_read: bool = False, **more: Any) -> Policy:
    return Policy(Settings(**{"policy": rules, "bindings": BOUND, "members_read": members_read, **more}))


def rule(*may: Right, who: Who | None = None, on: On | None = None, name: str = "") -> Rule:
    return Rule(name=name, who=who or Who(slack=("T1:U1",)), may=may, on=on or On())


def test_members_read_by_default_and_nothing_else() -> None:
    found = policy(members_read=True)
    assert rights(found) == {Right.READ}
    assert found.may(ASKER, Right.READ, DATA).rule == "default: members read"
    assert found.may(ASKER, Right.CANCEL, JOB).rule == "default: deny"


def test_without_the_default_nobody_reads() -> None:
    assert rights(policy()) == set()


@pytest.mark.parametrize(
    ("standing", "said"),
    [
        (Standing.GUEST, "guests are refused"),
        (Standing.EXTERNAL, "external people are refused"),
        (Standing.BOT, "bots are refused"),
        (Standing.UNKNOWN, "people who cannot be looked up are refused"),
    ],
)
def test_only_full_members_get_anything_whatever_the_rules_say(standing: Standing, said: str) -> None:
    found = policy(rule(*Right), members_read=True)
    asker = replace(ASKER, profile=Profile(standing=standing, email="clerk@example.com"))
    for right in Right:
        decision = found.may(asker, right)
        assert (decision.allowed, decision.rule) == (False, said)
        assert decision.sentence
        assert decision.hint


def test_of_whom_nothing_is_known_is_unknown() -> None:
    assert Profile().standing is Standing.UNKNOWN


def test_a_person_at_the_terminal_is_a_member_without_a_profile() -> None:
    here = Place("local", "box", "terminal", Visibility.PERSONAL)
    asker = Asker(Person("local", "box", "operator"), Profile(), here)
    found = policy(
        rule(Right.CANCEL, who=Who(local=("*",))), bindings=(Binding(local=True, connections=("prod",)),)
    )
    assert found.may(asker, Right.CANCEL, JOB).allowed
    assert not policy(rule(Right.CANCEL, who=Who(local=("somebody",)))).may(asker, Right.CANCEL).allowed


def test_an_address_at_the_terminal_is_nobodys_word() -> None:
    here = Place("local", "box", "terminal", Visibility.PERSONAL)
    asker = Asker(Person("local", "box", "operator"), replace(MEMBER, email="op@example.com"), here)
    found = policy(
        rule(Right.CANCEL, who=Who(email=("*@example.com",))),
        bindings=(Binding(local=True, connections=("prod",)),),
    )
    assert not found.may(asker, Right.CANCEL, JOB).allowed


def test_an_unbound_workspace_gets_one_sentence_and_nothing_else() -> None:
    found = policy(rule(*Right, who=Who(slack=("T1:U1",))), bindings=())
    assert found.connections(CHANNEL) == ()
    decision = found.may(ASKER, Right.READ)
    assert not decision.allowed
    assert decision.rule == "not bound"
    assert "No Celonis team is connected" in decision.sentence


def test_a_connection_that_is_not_bound_here_does_not_exist_here() -> None:
    found = policy(rule(*Right), members_read=True)
    elsewhere = replace(DATA, connection=Name("secret", "secret"))
    assert not found.sees(ASKER, elsewhere)
    assert found.may(ASKER, Right.READ, elsewhere).rule == "default: deny"


def test_a_connection_may_be_called_by_its_title() -> None:
    found = policy(
        rule(Right.READ, on=On(connection=("Europe*",))),
        connections={"prod": Connection(title="Europe", url="https://europe.eu-1.celonis.cloud")},
    )
    assert found.sees(ASKER, Touch(connection=Name("europe")))
    assert found.sees(ASKER, Touch(connection=Name("", "prod")))
    assert not found.sees(ASKER, Touch(connection=Name("Europe", "other")))
    assert not found.sees(ASKER, Touch(connection=Name("prod", "Europe")))


def test_a_rule_is_named_by_number_and_name_and_the_first_that_grants_counts() -> None:
    found = policy(
        rule(Right.MANAGE),
        rule(Right.CANCEL, on=On(job=("other*",)), name="others"),
        rule(Right.CANCEL, name="operators"),
        rule(Right.CANCEL, name="again"),
    )
    assert found.may(ASKER, Right.CANCEL, JOB).rule == "rule 3: operators"
    assert found.may(ASKER, Right.MANAGE, JOB).rule == "rule 1"


def test_no_right_implies_another() -> None:
    for right in Right:
        assert rights(policy(rule(right))) == {right}


@pytest.mark.parametrize(
    ("who", "asker", "applies"),
    [
        (Who(slack=("T1:U1",)), ASKER, True),
        (Who(slack=("T1:U2",)), ASKER, False),
        (Who(slack=("T1:*",)), ASKER, True),
        (Who(slack=("T2:*",)), ASKER, False),
        (Who(slack=("T2:U1",)), ASKER, False),
        (Who(slack=("T2:U1",)), replace(ASKER, person=Person("slack", "T2", "U1")), True),
        (Who(slack=("T1:u1",)), ASKER, False),
        (Who(teams=("T1:U1",)), ASKER, False),
        (Who(local=("U1",)), ASKER, False),
        (Who(local=("*",)), ASKER, False),
        (
            Who(email=("*@example.com",)),
            replace(ASKER, profile=replace(MEMBER, email="Op@Example.com")),
            True,
        ),
        (
            Who(email=("op@example.com",)),
            replace(ASKER, profile=replace(MEMBER, email="x-op@example.com")),
            False,
        ),
        (
            Who(email=("*@example.com",)),
            replace(ASKER, profile=replace(MEMBER, email="a@b.c@example.com")),
            False,
        ),
        (
            Who(email=("*@example.com",)),
            replace(ASKER, profile=replace(MEMBER, email="op@example.com.evil")),
            False,
        ),
        (Who(email=("*@example.com",)), ASKER, False),
        (
            Who(email=("*@example.com",)),
            Asker(Person("slack", "T2", "U1"), replace(MEMBER, email="op@example.com"), CHANNEL),
            False,
        ),
        (
            Who(groups=("slack:T1:S1",)),
            replace(ASKER, profile=replace(MEMBER, groups=frozenset({"S1"}))),
            True,
        ),
        (
            Who(groups=("slack:T1:S1",)),
            replace(ASKER, profile=replace(MEMBER, groups=frozenset({"slack:T1:S1"}))),
            True,
        ),
        (
            Who(groups=("slack:T2:S1",)),
            replace(ASKER, profile=replace(MEMBER, groups=frozenset({"S1", "slack:T2:S1"}))),
            False,
        ),
        (Who(groups=("slack:T1:S1",)), ASKER, False),
        (Who(places=("slack:T1:C1",)), ASKER, True),
        (Who(places=("slack:T1:*",)), ASKER, True),
        (Who(places=("slack:T1:C2",)), ASKER, False),
        (Who(places=("slack:T1:C1",)), replace(ASKER, person=Person("slack", "T2", "U1")), False),
        (Who(slack=("T1:U1",), places=("slack:T1:C1",)), ASKER, True),
        (Who(slack=("T1:U1",), places=("slack:T1:C2",)), ASKER, False),
        (Who(slack=("T1:U2",), places=("slack:T1:C1",)), ASKER, False),
        (Who(slack=("T1:U2",), email=("*@example.com",)), ASKER, False),
        (
            Who(slack=("T1:U2",), email=("*@example.com",)),
            replace(ASKER, profile=replace(MEMBER, email="op@example.com")),
            True,
        ),
        (Who(), ASKER, False),
    ],
)
def test_who_a_rule_applies_to(who: Who, asker: Asker, *, applies: bool) -> None:
    found = policy(rule(Right.CANCEL, who=who))
    assert found.may(asker, Right.CANCEL, JOB).allowed is applies


def test_ids_of_teams_match_in_any_case() -> None:
    place = Place("teams", TENANT, "19:conversation@thread.tacv2", Visibility.CHANNEL)
    asker = Asker(Person("teams", TENANT, OBJECT), MEMBER, place)
    who = Who(teams=(f"{TENANT}:{OBJECT.upper()}",), places=(f"teams:{TENANT}:19:conversation@thread.tacv2",))
    assert policy(rule(Right.CANCEL, who=who)).may(asker, Right.CANCEL, JOB).allowed


@pytest.mark.parametrize(
    "person",
    [
        Person("slack", "", "U1"),
        Person("slack", "T1", ""),
        Person("teams", "T1", "U1"),
        Person("slack", "T1", "*"),
    ],
)
def test_a_person_or_place_without_a_proper_id_is_refused(person: Person) -> None:
    found = policy(rule(*Right, who=Who(slack=("T1:U1", "T1:*"), places=("slack:T1:*",))), members_read=True)
    decision = found.may(replace(ASKER, person=person), Right.READ)
    assert not decision.allowed
    assert decision.sentence


@pytest.mark.parametrize(
    ("on", "touch", "reads", "writes"),
    [
        (On(), JOB, True, True),
        (On(), DATA, True, True),
        (On(connection=("prod",)), JOB, True, True),
        (On(connection=("other",)), JOB, False, False),
        (On(pool=("SAP*",)), JOB, True, True),
        (On(pool=("sap ecc",)), JOB, True, True),
        (On(pool=("pool-1",)), JOB, True, True),
        (On(pool=("POOL-1",)), JOB, False, False),
        (On(pool=("pool-?",)), JOB, False, False),
        (On(pool=("SAP*",)), POOL, True, True),
        (On(job=("main*",)), JOB, True, True),
        (On(job=("main*",)), POOL, True, False),
        (On(job=("other", "main*")), JOB, True, True),
        (On(pool=("SAP*",), job=("main*",)), JOB, True, True),
        (On(pool=("Other*",), job=("main*",)), JOB, False, False),
        (On(pool=("SAP*",), job=("final*",)), JOB, False, False),
        (On(pool=("SAP*",), job=("final*",)), POOL, True, False),
        (On(pool=("SAP*",)), Touch(connection=PROD, job=MAIN), False, False),
        (On(pool=("SAP*",)), Touch(connection=PROD), True, False),
        (On(pool=("*",)), DATA, False, False),
        (On(pool=("*",)), MODEL_ITSELF, False, False),
        (On(model=("*",)), JOB, False, False),
        (On(model=("Purchase*",)), DATA, True, True),
        (On(model=("Purchase*",)), KPI_ITSELF, True, True),
        (On(model=("p2p.km",)), FILTER_ITSELF, True, True),
        (On(record=("Invoices",)), DATA, True, True),
        (On(record=("Invoices",)), RECORD_ITSELF, True, True),
        (On(record=("Invoices",)), MODEL_ITSELF, True, False),
        (On(record=("Invoices",)), KPI_ITSELF, False, False),
        (On(record=("Invoices",)), FILTER_ITSELF, False, False),
        (On(field=("amount",)), DATA, True, True),
        (On(field=("amount",)), RECORD_ITSELF, True, False),
        (On(record=("Orders",), field=("amount",)), DATA, False, False),
        (On(kpi=("on-time*",)), KPI_ITSELF, True, True),
        (On(kpi=("on-time*",)), MODEL_ITSELF, True, False),
        (On(kpi=("on-time*",)), DATA, False, False),
        (On(kpi=("on-time*",), record=("Invoices",)), DATA, True, True),
        (On(kpi=("on-time*",), record=("Invoices",)), KPI_ITSELF, True, True),
        (On(kpi=("on-time*",), record=("Orders",)), KPI_ITSELF, True, True),
        (On(kpi=("on-time*",), record=("Orders",)), DATA, False, False),
        (On(filter=("YTD",)), FILTER_ITSELF, True, True),
        (On(kpi=("on-time*",)), replace(KPI_ITSELF, record=RECORD), False, False),
        (On(kpi=("on-time*",), record=("Invoices",)), replace(KPI_ITSELF, record=RECORD), True, True),
        (On(kpi=("on-time*",)), replace(KPI_ITSELF, pool=SAP), False, False),
        (On(pool=("*",), model=("*",)), DATA, False, False),
        (On(pool=("*",), model=("*",)), JOB, False, False),
        (On(connection=("*",)), Touch(pool=SAP, job=MAIN), False, False),
    ],
)
def test_what_a_rule_reaches(on: On, touch: Touch, *, reads: bool, writes: bool) -> None:
    found = policy(rule(Right.READ, Right.CANCEL, on=on))
    assert found.may(ASKER, Right.READ, touch).allowed is reads
    assert found.sees(ASKER, touch) is reads
    assert found.may(ASKER, Right.CANCEL, touch).allowed is writes


def test_brackets_in_a_pattern_are_themselves() -> None:
    found = policy(rule(Right.CANCEL, on=On(job=("load [full]",))))
    assert found.may(ASKER, Right.CANCEL, replace(JOB, job=Name("Load [full]", "x"))).allowed
    assert not found.may(ASKER, Right.CANCEL, replace(JOB, job=Name("load f", "x"))).allowed


def test_letters_written_in_two_ways_are_the_same() -> None:
    found = policy(rule(Right.CANCEL, on=On(job=("Auftr\u00e4ge*",))))
    assert found.may(ASKER, Right.CANCEL, replace(JOB, job=Name("AUFTRA\u0308GE nachts", "x"))).allowed


def test_a_pattern_is_of_the_whole_name() -> None:
    found = policy(rule(Right.CANCEL, on=On(job=("main",))))
    for text in ("main job", "the main", "main\njob", "main\n"):
        assert not found.may(ASKER, Right.CANCEL, replace(JOB, job=Name(text, "x"))).allowed


def test_an_id_that_only_equals_the_name_of_another_thing_does_not_match_it() -> None:
    found = policy(rule(Right.CANCEL, on=On(job=("main*",))))
    assert not found.may(ASKER, Right.CANCEL, replace(JOB, job=Name("final job", "main job"))).allowed


def test_all_touched_things_must_be_allowed_and_the_first_refusal_is_the_answer() -> None:
    found = policy(rule(Right.READ, on=On(field=("amount",)), name="amounts"))
    other = replace(DATA, field=Name("Vendor", "vendor"))
    assert found.may_all(ASKER, Right.READ, (RECORD_ITSELF, DATA)).rule == "rule 1: amounts"
    assert found.may_all(ASKER, Right.READ, (DATA, other, DATA)) == found.may(ASKER, Right.READ, other)
    assert found.may_all(ASKER, Right.READ, ()) == found.may(ASKER, Right.READ)
    assert found.may_all(ASKER, Right.READ, (Touch(),)) == found.may(ASKER, Right.READ)


def test_whether_anything_at_all_may_be_done_follows_the_connections_that_exist_here() -> None:
    assert (
        policy(rule(Right.CANCEL, on=On(connection=("prod",), job=("x",)))).may(ASKER, Right.CANCEL).allowed
    )
    assert not policy(rule(Right.CANCEL, on=On(connection=("other",)))).may(ASKER, Right.CANCEL).allowed


@pytest.mark.parametrize("right", [Right.READ, Right.ADMIN])
def test_hidden_fields_are_hidden_from_everybody(right: Right) -> None:
    found = policy(rule(*Right), members_read=True, hide_fields=(HiddenField(field=("*amount*",)),))
    decision = found.may(ASKER, right, DATA)
    assert (decision.allowed, decision.rule) == (False, "hidden field")
    assert found.may(ASKER, right, replace(DATA, field=Name("Vendor", "vendor"))).allowed
    assert found.may(ASKER, right, RECORD_ITSELF).allowed


@pytest.mark.parametrize(
    ("pattern", "field", "record", "hidden"),
    [
        (HiddenField(field=("amount",)), FIELD, RECORD, True),
        (HiddenField(field=("*salary*",)), Name("Pay", "base_salary_eur"), RECORD, True),
        (HiddenField(field=("amount",), record=("Invoices",)), FIELD, RECORD, True),
        (HiddenField(field=("amount",), record=("INVOICES",)), FIELD, RECORD, True),
        (HiddenField(field=("amount",), record=("Orders",)), FIELD, RECORD, False),
        (HiddenField(field=("amount",), record=("Orders",)), FIELD, None, True),
        (HiddenField(field=("amount",), model=("Order*",)), FIELD, RECORD, False),
        (HiddenField(field=("amount",), connection=("prod",)), FIELD, RECORD, True),
        (HiddenField(field=("vendor",)), FIELD, RECORD, False),
    ],
)
def test_what_hides_a_field(pattern: HiddenField, field: Name, record: Name | None, *, hidden: bool) -> None:
    given = {"connection": PROD, "model": MODEL, "field": field} | ({"record": record} if record else {})
    assert policy(hide_fields=(pattern,)).hidden(given) is hidden


def test_public_is_granted_to_places_and_not_to_people() -> None:
    open_kpis = rule(Right.PUBLIC, who=Who(places=("slack:T1:C1",)), on=On(kpi=("on-time*",)))
    found = policy(open_kpis, members_read=True)
    elsewhere = replace(CHANNEL, id="C2")
    assert found.public(CHANNEL, (KPI_ITSELF,), outsiders=False)
    assert not found.public(CHANNEL, (KPI_ITSELF, DATA), outsiders=False)
    assert not found.public(CHANNEL, (MODEL_ITSELF, KPI_ITSELF), outsiders=False)
    assert not found.public(CHANNEL, (), outsiders=False)
    assert not found.public(CHANNEL, (Touch(),), outsiders=False)
    assert not found.public(elsewhere, (KPI_ITSELF,), outsiders=False)
    assert not found.public(replace(CHANNEL, home="T2"), (KPI_ITSELF,), outsiders=False)
    personal = rule(Right.PUBLIC, who=Who(slack=("T1:U1",), places=("slack:T1:C1",)))
    assert not policy(personal).public(CHANNEL, (KPI_ITSELF,), outsiders=False)


def test_a_place_with_outsiders_is_public_only_where_its_rule_says_so() -> None:
    inside = rule(Right.PUBLIC, who=Who(places=("slack:T1:C1",)))
    found = policy(inside)
    assert found.opens(CHANNEL)
    assert not found.public(CHANNEL, (KPI_ITSELF,), outsiders=True)
    assert found.public(CHANNEL, (KPI_ITSELF,), outsiders=False)
    outside = policy(inside.model_copy(update={"external": True}))
    assert not outside.opens(CHANNEL), "nobody need look who reads along"
    assert outside.public(CHANNEL, (KPI_ITSELF,), outsiders=True)


def test_public_never_shows_a_hidden_field() -> None:
    everything = rule(Right.PUBLIC, who=Who(places=("slack:T1:*",)))
    assert policy(everything).public(CHANNEL, (DATA,), outsiders=False)
    assert not policy(everything, hide_fields=(HiddenField(field=("amount",)),)).public(
        CHANNEL, (DATA,), outsiders=False
    )


def test_a_refusal_says_what_and_who_can_change_it() -> None:
    found = policy(members_read=True, admin=Admin(contact="The process team (#celonis)"))
    decision = found.may(ASKER, Right.CANCEL, JOB)
    assert decision.sentence == "You may not stop “main job” here."
    assert decision.hint == "The process team (#celonis) can change that."
    assert policy(members_read=True).may(ASKER, Right.CANCEL, JOB).hint.startswith("Whoever runs this bot")


def test_a_refusal_does_not_name_what_the_asker_may_not_see() -> None:
    decision = policy().may(ASKER, Right.CANCEL, JOB)
    assert decision.sentence == "You may not stop data jobs here."


def test_whoever_sits_at_the_sandbox_may_read_export_stop_and_start_there_and_no_more() -> None:
    settings = Settings.for_demo(
        "http://127.0.0.1:8080", "sandbox-key", zone="Europe/Berlin", secret_key="s" * 32
    )
    found = Policy(settings)
    here = Place("local", "box", "terminal", Visibility.PERSONAL)
    asker = Asker(Person("local", "box", "operator"), Profile(), here)
    assert found.connections(here) == ("sandbox",)
    assert rights(found, asker) == {Right.READ, Right.EXPORT, Right.CANCEL, Right.RUN, Right.RUN_FULL}
    assert found.may(asker, Right.CANCEL, replace(JOB, connection=Name("sandbox", "sandbox"))).allowed
    assert not found.may(ASKER, Right.READ).allowed
