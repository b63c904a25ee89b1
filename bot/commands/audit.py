"""The last rows of the audit log, for admins."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from bot.audience import Shown
from bot.audit_entries import told_by, written_at
from bot.commands.command import Command, Context
from bot.commands.lists import count
from bot.language.declare import Count, clause
from bot.model.cards import Block, Card, Cell, Column, Missing, Moment, Table, Text, Words, headline
from bot.model.intents import Intent
from bot.policy import Right
from bot.store.audit_rows import Row

FEW, MOST = 10, 50


@dataclass(frozen=True, slots=True)
class ShowAudit(Intent):
    """What was decided lately."""

    words: ClassVar[str] = "audit"
    most: int = field(default=FEW, metadata=clause("", Count()))


async def _audit(intent: ShowAudit, context: Context) -> Shown:
    await context.audit.flush()
    rows = await context.audit.newest(min(intent.most, MOST))
    blocks: list[Block] = []
    if rows:
        columns = tuple(map(Column, ("When", "What", "Who", "Sentence", "Outcome")))
        blocks.append(Table(columns, tuple(map(_cells, rows))))
    if intent.most > MOST:
        blocks.append(Text(f"I show at most {MOST}; celonis-chat audit export prints all."))
    card = Card(
        headline(
            f"The last {count(len(rows), 'row')} of the audit log" if rows else "The audit log is empty"
        ),
        title="Audit log",
        blocks=tuple(blocks),
    )
    return Shown(card, None)  # for the one who asked, wherever that is


def _cells(row: Row) -> tuple[Cell, ...]:
    told = told_by(row)
    at = written_at(row)
    kind = str(told.get("decision") or told.get("kind") or "unreadable")
    where = told.get("rule") if kind == "refused" else ""
    outcome = " · ".join(str(each) for each in (told.get("outcome"), where) if each)
    return (
        Moment(at) if at else Missing(),
        Words(kind),
        Words(row.person) if row.person else Missing(),
        Words(str(told["sentence"])) if told.get("sentence") else Missing(),
        Words(outcome) if outcome else Missing(),
    )


AUDIT = Command(
    example=ShowAudit(most=20),
    summary="the last rows of the audit log (admins)",
    right=Right.ADMIN,
    run=_audit,
    question=False,
)
