"""Errors as cards."""

from __future__ import annotations

from dataclasses import replace

from bot.model.cards import Block, Button, Card, Choices, Reader, Status, Text, headline
from bot.model.errors import (
    BotError,
    CelonisError,
    NotAllowed,
    TicketGone,
    UsageError,
    Who,
)
from bot.render.card_text import error_text


class Unexpected(BotError):
    """A fault of the bot's own; its reference stands in the log."""

    who = Who.BOT_ADMIN

    def __init__(self, reference: str, *, undone: str = "I do not know how far it got.") -> None:
        super().__init__(
            "Something went wrong that I did not expect.",
            hint=f"Tell an admin of the bot this reference: {reference}",
            undone=undone,
        )


def explain(
    error: BotError,
    reader: Reader,
    reference: str = "",
    options: tuple[Button, ...] = (),
    *,
    told: bool = False,
) -> Card:
    """An error as a card: the sentence, what did not happen, the next step, and who can take it.

    Args:
        error: What went wrong.
        reader: For whom times in it are written.
        reference: The request's id, for those who look it up in the log.
        options: The same sentence with names that exist.
        told: Whether the bot's admins know of it.
    """
    sentence, hint = error_text(error, reader)
    blocks: list[Block] = []
    if line := " ".join(filter(None, (error.undone, hint))):
        blocks.append(Text(line))
    match error:
        case NotAllowed():
            status = Status.REFUSED
        case UsageError():
            status = Status.NOT_UNDERSTOOD if not isinstance(error, TicketGone) else Status.REFUSED
        case CelonisError(support_id=support_id) if support_id:
            blocks.append(Text(f"Celonis support id: {support_id}"))
            status = Status.FAILED
        case _:
            status = Status.FAILED
    know = " The admins of this bot were told." if told else ""
    match error.who:
        case Who.BOT_ADMIN:
            blocks.append(Text(f"An admin of this bot can fix it.{know}", quiet=True))
        case Who.CELONIS_ADMIN:
            blocks.append(Text(f"A Celonis admin can fix it.{know}", quiet=True))
        case Who.ASKER | Who.TIME:
            pass
    if options:
        blocks.append(Choices("Did you mean:", options))
    if len(sentence) > len(headline(sentence)):
        blocks.insert(0, Text(sentence))
    return Card(
        headline(sentence),
        blocks=tuple(blocks),
        status=status,
        reference=reference if status is Status.FAILED else "",
    )


def undone(error: BotError, title: str, reader: Reader, reference: str, *, told: bool = False) -> Card:
    """The same for a write that never took effect, which is what its headline says first."""
    card = explain(error, reader, reference, told=told)
    sentence = error_text(error, reader)[0]
    said = f"Nothing was done: {sentence}"
    whole = headline(said) == said or Text(sentence) in card.blocks
    blocks = card.blocks if whole else (Text(sentence), *card.blocks)
    return replace(card, headline=headline(said), title=title, blocks=blocks)
