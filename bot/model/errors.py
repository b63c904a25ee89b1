"""Everything that can go wrong, sorted by who can act.

BotError                    `sentence` is for the person who can act, `hint` the next step, `undone` what did
│                           not happen
├─ UsageError               the asker
│  ├─ NotUnderstood         no reading of the text
│  ├─ BadArgument           understood, but a part cannot be
│  ├─ UnknownName           nothing of that name that this person may see here
│  ├─ NotAllowed            the policy says no
│  └─ TicketGone            a question that was answered, ran out, or never was
├─ QuotaExhausted           time: refused before sending, so no request was made
├─ Undelivered              the chat platform did not take a message
├─ StoreUnavailable         the bot's admin: the database does not answer
├─ ConfigError              the bot's admin: every problem of the settings at once
├─ ApprovalSpent            a programming error: one approval, one call
└─ CelonisError             the other side; keeps status and support id
   ├─ Unauthorized          the bot's admin: the key is not valid (or of the other kind)
   ├─ Forbidden             the Celonis admin: a grant is missing, or the API is switched off for the team
   ├─ NotFound              the asker: Celonis does not have it (any more)
   ├─ BadQuery              the asker: Celonis refuses the question
   ├─ RateLimited           time: 429
   ├─ ServerFault           time, then Celonis support: 5xx
   ├─ Unreachable           time: no connection or no answer
   ├─ UnexpectedReply       the bot's admin: not what the API documents
   └─ OutcomeUnknown        a write was sent and no answer came: it may have worked
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from enum import StrEnum

from bot.model.names import Kind, Name

MOMENT = "{moment}"
"""Where an error's text has its moment. Whoever shows the error writes it there in the zone of its reader."""
NOT_SENT = "No request was sent."
"""What did not happen, in every error that was raised before anything went out."""


class Who(StrEnum):
    """Who can do something about an error."""

    ASKER = "asker"
    BOT_ADMIN = "bot admin"
    CELONIS_ADMIN = "Celonis admin"
    TIME = "time"


class BotError(Exception):
    """Base of all expected errors; its text may be shown to the person who asked.

    Attributes:
        sentence: What is the matter, for the person who can act.
        hint: The next step.
        undone: What did not happen.
        moment: The moment that `sentence` and `hint` speak of (UTC): when Celonis answers again, say. None where
            there is none. Both name it in UTC, for the log; people read what `told` gives.
        who: Who can act.
    """

    who: Who = Who.ASKER

    def __init__(
        self,
        sentence: str,
        *,
        hint: str = "",
        undone: str = "Nothing was changed.",
        moment: datetime | None = None,
    ) -> None:
        self._texts = (sentence, hint)
        self.moment = moment
        self.sentence, self.hint = self.told(lambda at: f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC")
        super().__init__(self.sentence)
        self.undone = undone

    def told(self, write: Callable[[datetime], str]) -> tuple[str, str]:
        """Sentence and hint for people: `write` gives the moment as its reader wants it."""
        sentence, hint = self._texts
        if self.moment is None:
            return sentence, hint
        written = write(self.moment)
        return sentence.replace(MOMENT, written), hint.replace(MOMENT, written)


class UsageError(BotError):
    """The asker can mend it."""


class NotUnderstood(UsageError):
    """No reading of the text."""

    def __init__(self, sentence: str, *, hint: str = "") -> None:
        super().__init__(sentence, hint=hint or "Say “help” for what I can do.", undone="Nothing was asked.")


class BadArgument(UsageError):
    """The sentence is understood, but one part of it cannot be used."""


class UnknownName(UsageError):
    """No such thing among what this person may see here; forbidden things look exactly like this."""

    def __init__(self, kind: Kind, text: str, *, nearest: Sequence[Name] = (), within: str = "") -> None:
        place = f" in {within}" if within else ""
        hint = "Say the name as it stands in Celonis."
        if nearest:
            hint = f"There is {', '.join(each.text for each in nearest)}."
        super().__init__(f"I know no {kind} called “{text}”{place}.", hint=hint, undone="Nothing was asked.")
        self.kind = kind
        self.text = text


class NotAllowed(UsageError):
    """The policy says no. `rule` names what decided, for the audit log and for `may`."""

    def __init__(self, sentence: str, *, hint: str = "", rule: str = "") -> None:
        super().__init__(sentence, hint=hint)
        self.rule = rule


class TicketGone(UsageError):
    """The question behind a button is no longer open."""


class QuotaExhausted(BotError):
    """Refused before sending, because the budget does not allow it before the deadline."""

    who = Who.TIME

    def __init__(self, sentence: str, *, moment: datetime | None = None, hint: str = "") -> None:
        super().__init__(sentence, hint=hint, undone=NOT_SENT, moment=moment)


class Undelivered(BotError):
    """The chat platform did not take a message."""

    who = Who.BOT_ADMIN


class StoreUnavailable(BotError):
    """The bot's own database does not answer."""

    who = Who.BOT_ADMIN


class ConfigError(BotError):
    """Everything that is wrong with the settings, at once. `problems` never hold a secret's value."""

    who = Who.BOT_ADMIN

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("The settings cannot be used:\n" + "\n".join(f"- {each}" for each in problems))
        self.problems = tuple(problems)


class ApprovalSpent(BotError):
    """An approval was used for something it does not cover, or a second time. Nothing was sent."""

    who = Who.BOT_ADMIN


class CelonisError(BotError):
    """Celonis, or the way to it. `status` is None where no reply came.

    Attributes:
        status: HTTP status.
        support_id: The id Celonis support asks for, empty where there is none.
    """

    who = Who.TIME

    def __init__(
        self,
        sentence: str,
        *,
        hint: str = "",
        undone: str = "Nothing was changed.",
        status: int | None = None,
        support_id: str = "",
        moment: datetime | None = None,
    ) -> None:
        super().__init__(sentence, hint=hint, undone=undone, moment=moment)
        self.status = status
        self.support_id = support_id


class Unauthorized(CelonisError):
    """401: the key is not valid, or is sent as the wrong kind."""

    who = Who.BOT_ADMIN


class Forbidden(CelonisError):
    """403: the key lacks a grant, or (where the reply has no body) the API is switched off for the team."""

    who = Who.CELONIS_ADMIN


class NotFound(CelonisError):
    """404: Celonis does not have it (any more)."""

    who = Who.ASKER


class BadQuery(CelonisError):
    """400: Celonis refuses the question; its own words are kept in the sentence."""

    who = Who.ASKER


class RateLimited(CelonisError):
    """429. `moment` is when Celonis will answer again, None where it did not say."""

    def __init__(self, sentence: str, *, moment: datetime | None = None, hint: str = "") -> None:
        super().__init__(
            sentence,
            hint=hint,
            undone="Celonis did not answer the question.",
            status=429,
            moment=moment,
        )


class ServerFault(CelonisError):
    """5xx."""


class Unreachable(CelonisError):
    """No connection, or no answer in time."""


class UnexpectedReply(CelonisError):
    """A reply that the API does not document: HTML, half a JSON, an empty body, a redirect."""

    who = Who.BOT_ADMIN


class OutcomeUnknown(CelonisError):
    """A write was sent, and no usable answer came. It may have taken effect, so it is never repeated."""

    def __init__(self, sentence: str, *, status: int | None = None, support_id: str = "") -> None:
        super().__init__(
            sentence,
            hint="I look up what happened.",
            undone="It was sent once and is not sent again.",
            status=status,
            support_id=support_id,
        )
