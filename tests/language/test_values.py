"""How values of fields are found: in another language, by their main words, however they are spelt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import pytest

from bot.language.lexicon import Entity, Lexicon
from bot.language.scope import Scope
from bot.language.understand import Understanding, understand
from bot.language.values import FieldValues
from bot.language.vocabulary import vocabulary
from bot.model.names import Kind, Name, fold
from tests.language.scoring import framed, frames, name_list, world

MODEL = Name("Sales", "m")
ORDERS = Name("Orders", "orders")
NOW = datetime(2026, 11, 26, 20, 0, tzinfo=UTC)


def read(said: str, values: Mapping[str, Sequence[str]], *, complete: bool = True) -> Understanding:
    """What a sentence means where orders have text fields with these values."""
    owned = ((Kind.MODEL, MODEL),)
    inside = (*owned, (Kind.RECORD, ORDERS))
    fields = [Entity(Kind.FIELD, Name(each, f"orders.{each}"), inside, "string") for each in values]
    lists = [
        name_list(Kind.MODEL, [(Entity(Kind.MODEL, MODEL), ())]),
        name_list(Kind.RECORD, [(Entity(Kind.RECORD, ORDERS, owned), ())]),
        name_list(Kind.FIELD, [(each, ()) for each in fields]),
    ]
    known = [
        FieldValues(of, {fold(each): each for each in listed}, complete)
        for of, listed in zip(fields, values.values(), strict=True)
    ]
    return understand(said, Lexicon(vocabulary(), lists, known), frames(), Scope(MODEL, now=NOW))


def meant(said: str, **values: Sequence[str]) -> set[str]:
    """The conditions that a sentence can mean, if it is understood."""
    found = read(said, values)
    tests = [framed(each.intent, world()).get("tests", ()) for each in found.readings]
    return {f"{of} {op} {', '.join(listed)}" for each in tests for of, op, *listed in each}


EUROPE = ("Germany", "Côte d'Ivoire", "United Kingdom", "United States", "Netherlands")


@pytest.mark.parametrize(
    ("said", "value"),
    [
        ("orders in deutschland", "germany"),
        ("aufträge elfenbeinküste", "côte d'ivoire"),
        ("aufträge elfenbeinkueste", "côte d'ivoire"),
        ("orders in ivory coast", "côte d'ivoire"),
        ("orders cote divoire", "côte d'ivoire"),
        ("aufträge großbritannien", "united kingdom"),
        ("orders uk", "united kingdom"),
        ("aufträge usa", "united states"),
        ("orders US", "united states"),
        ("orders DEU", "germany"),
        ('orders "de"', "germany"),
        ("orders with country de", "germany"),
        ("aufträge in holland", "netherlands"),
        ("aufträge deutchland", "germany"),
    ],
)
def test_a_country_goes_by_its_name_in_each_language_and_its_code(said: str, value: str) -> None:
    assert meant(said, Country=EUROPE) == {f"country = {value}"}


@pytest.mark.parametrize(
    ("said", "listed", "value"),
    [
        ("orders germany", ("Deutschland", "Frankreich"), "deutschland"),
        ("orders germany", ("DE", "FR"), "de"),
        ("aufträge deutschland", ("DEU", "FRA"), "deu"),
        ("aufträge deutschland", ("DE - Germany", "FR - France"), "de - germany"),
    ],
)
def test_values_of_a_country_may_be_in_any_language_or_codes(
    said: str, listed: Sequence[str], value: str
) -> None:
    assert meant(said, Country=listed) == {f"country = {value}"}


def test_a_code_in_small_letters_is_a_word_that_nobody_knows() -> None:
    assert not meant("orders de", Country=EUROPE)
    assert read("orders de", {"Country": EUROPE}).offers[0].unknown == ("de",)


def test_a_code_in_capitals_says_nothing_where_everything_is_in_capitals_or_it_is_a_word() -> None:
    assert not meant("SHOW ORDERS DE", Country=EUROPE)
    assert not meant("show IT orders", Country=("Italy", "Spain"))


def test_a_name_that_is_also_a_country_s_is_none_in_a_list_of_other_things() -> None:
    assert not meant("aufträge jordanien", Customer=("Jordan", "Smith", "Miller"))
    assert not meant("aufträge deutschland", Customer=("3M Deutschland GmbH", "Smith", "Miller"))


@pytest.mark.parametrize(
    ("said", "field", "listed", "value"),
    [
        ("orders in euro", "currency", ("EUR", "USD"), "currency = eur"),
        ("orders in us dollars", "currency", ("EUR", "USD"), "currency = usd"),
        ("aufträge englisch", "language", ("German", "English"), "language = english"),
        ("orders monday", "weekday", ("Montag", "Dienstag"), "weekday = montag"),
    ],
)
def test_so_do_currencies_languages_and_days(
    said: str, field: str, listed: Sequence[str], value: str
) -> None:
    assert meant(said, **{field: listed}) == {value}


PLANTS = ("Hamburg (1000)", "1100 - München", "DE12 Lyon", "Werk Köln", "Sevilla Nord 1400")


@pytest.mark.parametrize(
    ("said", "value"),
    [
        ("orders hamburg", "hamburg (1000)"),
        ("orders in plant hamburg", "hamburg (1000)"),
        ("aufträge werk hamburg", "hamburg (1000)"),
        ("orders hamburg 1000", "hamburg (1000)"),
        ("orders hamberg", "hamburg (1000)"),
        ("orders muenchen", "1100 - münchen"),
        ("orders munchen", "1100 - münchen"),
        ("orders lyon", "de12 lyon"),
        ("orders DE12", "de12 lyon"),
        ("orders koeln", "werk köln"),
        ("orders in plant 1000", "hamburg (1000)"),
    ],
)
def test_codes_and_kind_words_may_be_missing_from_a_value(said: str, value: str) -> None:
    assert meant(said, Plant=PLANTS) == {f"plant = {value}"}


@pytest.mark.parametrize("said", ["orders sevilla", "orders 1400", "orders nord"])
def test_other_words_may_not(said: str) -> None:
    found = read(said, {"Plant": PLANTS})
    assert not found.readings
    assert found.offers


def test_two_plants_of_a_town_are_asked_about_and_the_town_itself_is_meant_first() -> None:
    assert meant("orders hamburg", Plant=("Hamburg 1000", "Hamburg 2000")) == {
        "plant = hamburg 1000",
        "plant = hamburg 2000",
    }
    assert meant("orders hamburg", Plant=("Hamburg", "Hamburg 2000")) == {"plant = hamburg"}


def test_a_part_of_a_value_is_only_offered_while_there_may_be_others() -> None:
    found = read("orders hamburg", {"Plant": ("Hamburg 1000", "Lyon 1200")}, complete=False)
    assert not found.readings
    assert "Hamburg 1000" in str(found.offers[0].intent) or "Hamburg 1000" in str(found.offers[1].intent)


@pytest.mark.parametrize(
    "said",
    [
        "orders kühne nagel",
        "orders kuehne nagel",
        "orders kühne + nagel",
        "orders kuhne & nagel",
        "orders kuehne+nagel",
        "aufträge kühne und nagel",
        "orders kühne and nagel",
    ],
)
def test_signs_accents_and_legal_forms_say_nothing(said: str) -> None:
    assert meant(said, Carrier=("Kühne + Nagel AG & Co. KG", "DHL")) == {
        "carrier = kühne + nagel ag & co. kg"
    }


def test_two_values_that_are_spelt_alike_are_told_apart_or_asked_about() -> None:
    both = ("Muller", "Müller")
    assert meant("orders müller", Customer=both) == {"customer = müller"}
    assert meant("orders muller", Customer=both) == {"customer = muller"}
    assert meant("orders mueller", Customer=both) == {"customer = muller", "customer = müller"}


def test_a_word_that_joins_is_no_part_of_a_value_without_a_sign() -> None:
    assert meant("orders new and york", City=("New York", "New", "York")) == {"city in new, york"}


@pytest.mark.parametrize(
    ("said", "value"),
    [
        ("blockierte aufträge", "status = blocked"),
        ("aufträge die gesperrt sind", "status = blocked"),
        ("aufträge in bearbeitung", "status = in progress"),
        ("aufträge erledigt", "status = completed"),
        ("done orders", "status = completed"),
        ("stornierte aufträge", "status = cancelled"),
    ],
)
def test_a_state_goes_by_its_usual_words(said: str, value: str) -> None:
    states = ("Blocked", "In progress", "Completed", "Cancelled")
    assert meant(said, Status=states) == {value}


def test_a_state_that_two_fields_have_is_asked_about() -> None:
    assert meant("aufträge erledigt", Status=("Open", "Done"), Check=("Open", "Closed")) == {
        "status = done",
        "check = closed",
    }


def test_what_was_taken_for_a_value_is_said() -> None:
    found = read("orders in deutschland", {"Country": EUROPE}).readings[0]
    assert found.taken == (("deutschland", "Germany"),)


def test_what_stands_behind_a_negated_value_is_not_also_empty() -> None:
    found = read("not blocked order number", {"Status": ("Blocked", "Open"), "Order number": ("1", "2")})
    assert all("empty" not in str(framed(each.intent, world())) for each in found.readings)


@pytest.mark.parametrize("said", ["wie viele offene rechnungen", "how many open invoices", "open invoices"])
def test_a_saved_filter_that_is_called_so_is_meant_before_a_bare_value(said: str) -> None:
    here = world()
    found = understand(said, here.lexicon, frames(), Scope(here.models["Accounts Payable"], now=NOW))
    (only,) = found.readings
    assert framed(only.intent, here).get("filters") == ("open invoices",)
    assert "tests" not in framed(only.intent, here)


@pytest.mark.parametrize("said", ["value in eur of the open invoices", "wert in eur der offenen rechnungen"])
def test_a_currency_in_a_kpi_s_name_is_no_condition(said: str) -> None:
    here = world()
    found = understand(said, here.lexicon, frames(), Scope(here.models["Accounts Payable"], now=NOW))
    (only,) = found.readings
    assert framed(only.intent, here)["names"] == ("value in eur",)
    assert "tests" not in framed(only.intent, here)


def test_a_way_of_counting_is_no_grade() -> None:
    assert not meant("average orders", Priority=("High", "Medium", "Low"))


def conditions(said: str, model: str) -> list[set[str]]:
    """The conditions of each thing that a sentence can mean in the sandbox."""
    here = world()
    found = understand(said, here.lexicon, frames(), Scope(here.models[model], now=NOW))
    tests = [framed(each.intent, here).get("tests", ()) for each in found.readings]
    return [{f"{of} {op} {value}" for of, op, value in each} for each in tests]


@pytest.mark.parametrize("said", ["orders over 50000 eur", "aufträge über 50000 euro"])
def test_a_currency_beside_an_amount_names_the_field_that_holds_it(said: str) -> None:
    assert conditions(said, "Order to Cash") == [{"value in eur > 50000"}]


@pytest.mark.parametrize(
    "said",
    ["invoices over 1000 usd", "invoices over 1000 dollars", "invoices with invoice amount over 1000 usd"],
)
def test_a_currency_that_stands_in_a_field_of_its_own_is_a_condition_too(said: str) -> None:
    assert conditions(said, "Accounts Payable") == [{"invoice amount > 1000", "currency = usd"}]


@pytest.mark.parametrize(
    ("said", "model"),
    [("orders over 50000 usd", "Order to Cash"), ("invoices over 1000 chf", "Accounts Payable")],
)
def test_an_amount_in_a_currency_that_nothing_is_in_is_not_answered(said: str, model: str) -> None:
    assert not conditions(said, model)
