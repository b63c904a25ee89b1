"""What has a name in every language: countries, currencies, languages, months, days of the week, and usual states.

The names come from CLDR; what people say besides, and the states, stand in the files of the languages.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any, NamedTuple

from babel import Locale
from babel.core import get_global
from babel.numbers import get_currency_name

from bot.language.vocabulary import vocabulary

_NO_COUNTRIES = frozenset({"EU", "EZ", "QO", "UN", "XA", "XB", "ZZ"})
_CODE = re.compile("[A-Za-z]{2}")
_ASIDE = re.compile(r"\s*\([^)]*\)")


class Family(StrEnum):
    """What kind of thing it is; the value is its section in the files of the languages."""

    COUNTRY = "countries"
    CURRENCY = "currencies"
    LANGUAGE = "languages"
    MONTH = "months"
    WEEKDAY = "weekdays"
    STATE = "states"


class Thing(NamedTuple):
    """One of them."""

    family: Family
    code: str


@dataclass(frozen=True, slots=True)
class Things:
    """All of them, as some languages call them.

    Attributes:
        of: The joined stems of a name, or a code in lower case -> what is called so.
        names: What it is called.
        codes: Its ISO codes, in lower case.
    """

    of: Mapping[str, frozenset[Thing]]
    names: Mapping[Thing, tuple[str, ...]]
    codes: Mapping[Thing, tuple[str, ...]]


@lru_cache(maxsize=8)
def things(languages: tuple[str, ...]) -> Things:
    """The things that some languages name; made when first asked for."""
    words = vocabulary(languages)
    names: dict[Thing, dict[str, None]] = defaultdict(dict)
    codes: dict[Thing, tuple[str, ...]] = {}
    of: dict[str, set[Thing]] = defaultdict(set)
    short: list[tuple[Thing, str]] = []
    for language in languages:
        locale = Locale(language)
        for thing, name in _named(locale):
            names[thing][name] = None
        short.extend(_short(locale))
    for family, named in words.things.items():
        for code, listed in named.items():
            thing = Thing(Family(family), code)
            names[thing].update(dict.fromkeys(listed))
    for thing, called in names.items():
        for each in list(called):
            if "~" in (form := words.joined(each)):  # "mittel" is a way of counting before it is a grade
                del called[each]
            else:
                of[form].add(thing)
        codes[thing] = tuple(_codes(thing))
        for each in codes[thing]:
            of[each].add(thing)
    for thing, name in short:
        of[words.joined(name)].add(thing)
    return Things(
        {form: frozenset(those) for form, those in of.items()},
        {thing: tuple(called) for thing, called in names.items()},
        codes,
    )


def _named(locale: Any) -> Iterator[tuple[Thing, str]]:
    """What CLDR calls things in one language."""
    for code, name in locale.territories.items():
        if _CODE.fullmatch(code) and code not in _NO_COUNTRIES:
            yield Thing(Family.COUNTRY, code), name
            yield Thing(Family.COUNTRY, code), _ASIDE.sub("", name)
    for code, name in locale.currencies.items():
        yield Thing(Family.CURRENCY, code), name
        yield Thing(Family.CURRENCY, code), get_currency_name(code, count=2, locale=locale)
    for code, name in locale.languages.items():
        if _CODE.fullmatch(code):
            yield Thing(Family.LANGUAGE, code), name
    yield from _dates(locale, "wide")


def _short(locale: Any) -> Iterator[tuple[Thing, str]]:
    """How dates are cut short: values may be written so, but nobody is understood so."""
    return _dates(locale, "abbreviated")


def _dates(locale: Any, width: str) -> Iterator[tuple[Thing, str]]:
    for family, calendar in ((Family.MONTH, locale.months), (Family.WEEKDAY, locale.days)):
        for context in ("format", "stand-alone"):
            for number, name in calendar[context][width].items():
                yield Thing(family, str(number)), name


def _codes(thing: Thing) -> Iterable[str]:
    match thing.family:
        case Family.COUNTRY:
            return (thing.code.lower(), *_three_letters().get(thing.code, ()))
        case Family.CURRENCY | Family.LANGUAGE:
            return (thing.code.lower(),)
        case Family.MONTH | Family.WEEKDAY | Family.STATE:
            return ()


@lru_cache(maxsize=1)
def _three_letters() -> Mapping[str, tuple[str, ...]]:
    """The ISO codes of three letters of each country."""
    found: dict[str, tuple[str, ...]] = {}
    for code, meant in get_global("territory_aliases").items():
        if code.isalpha() and len(code) == len("DEU") and len(meant) == 1:
            found[meant[0]] = (*found.get(meant[0], ()), code.lower())
    return found
