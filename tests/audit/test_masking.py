"""Sentences without values."""

from dataclasses import dataclass, field
from typing import ClassVar

from hypothesis import given
from hypothesis import strategies as st

from bot.language.declare import CelonisIntent, Flag, Names, OneName, Phrase, SortBy, Where, clause
from bot.language.say import say
from bot.masking import mask
from bot.model.intents import And, Comparison, Condition, Not, Op, Or, SortKey
from bot.model.names import Kind, Name


@dataclass(frozen=True, slots=True)
class Everything(CelonisIntent):
    words: ClassVar[str] = "everything"
    record: Name | None = field(default=None, metadata=clause("", OneName(Kind.RECORD)))
    show: tuple[Name, ...] = field(default=(), metadata=clause("show", Names(Kind.FIELD)))
    where: Condition | None = field(default=None, metadata=clause("where", Where()))
    search: str = field(default="", metadata=clause("search", Phrase()))
    sort: tuple[SortKey, ...] = field(default=(), metadata=clause("sort", SortBy()))
    distinct: bool = field(default=False, metadata=clause("distinct", Flag()))


COUNTRY, AMOUNT = Name("Country", "C.COUNTRY"), Name("Amount")
SECRETS = ("Germany", "10000", "12", "4711", "Acme Holding")


def test_names_stay_and_values_go() -> None:
    condition = And(
        (
            Comparison(COUNTRY, Op.EQ, (SECRETS[0],)),
            Or((Comparison(AMOUNT, Op.BETWEEN, SECRETS[1:3]), Not(Comparison(AMOUNT, Op.IN, SECRETS)))),
            Not(Comparison(AMOUNT, Op.IS_EMPTY)),
        )
    )
    intent = Everything(
        record=Name("Invoices", "I1"),
        show=(COUNTRY,),
        where=condition,
        search="Acme Holding",
        sort=(SortKey(AMOUNT, descending=True),),
        distinct=True,
    )
    masked = mask(intent)
    assert not [secret for secret in SECRETS if secret in masked]
    assert all(
        name in masked for name in ("Invoices", "#I1", "Country", "Amount", "between", "is empty", "…", "-")
    )


def test_a_sentence_without_values_is_said_as_it_is() -> None:
    intent = Everything(record=Name("Invoices", "I1"), sort=(SortKey(COUNTRY),))
    assert mask(intent) == say(intent)


values = st.text(st.characters(codec="utf-8", categories=("L", "N")), min_size=5, max_size=12).map(
    lambda text: f"§{text}"
)


@given(values=st.lists(values, min_size=3, max_size=3), op=st.sampled_from(Op))
def test_no_value_survives(values: list[str], op: Op) -> None:
    wanted = {Op.IS_EMPTY: 0, Op.BETWEEN: 2, Op.IN: 3}.get(op, 1)
    intent = Everything(
        record=Name("Invoices"), where=Comparison(COUNTRY, op, tuple(values[:wanted])), search=values[0]
    )
    assert "§" not in mask(intent)
