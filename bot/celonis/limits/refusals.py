"""Why a request was not sent, and when it may be: the sentences of everything that is refused before sending."""

from __future__ import annotations

from datetime import datetime

from bot.celonis.request import Lane
from bot.model.errors import MOMENT, NOT_SENT, QuotaExhausted, RateLimited, StoreUnavailable, Unreachable
from bot.store.ledger import Refused


def resting(since: datetime, retry_in: float) -> Unreachable:
    """Celonis has not answered for a while and is left in peace."""
    return Unreachable(
        f"Celonis has not answered since {MOMENT}.",
        moment=since,
        hint=f"I try again in {max(1, round(retry_in))} seconds.",
        undone=NOT_SENT,
    )


def paused(until: datetime) -> RateLimited:
    """Celonis has asked for silence beyond the deadline."""
    return RateLimited(
        f"Celonis has asked the bot to be silent until {MOMENT}.", moment=until, hint="Ask again then."
    )


def crowded(free_at: datetime) -> QuotaExhausted:
    """So much waits already that the turn would come after the deadline."""
    return QuotaExhausted(
        "Too many questions at once: this one would have come too late.",
        moment=free_at,
        hint=f"Ask again from {MOMENT} on.",
    )


def stopping() -> QuotaExhausted:
    """The program ends."""
    return QuotaExhausted("The bot is being stopped.", hint="Ask again in a minute.")


def no_database() -> StoreUnavailable:
    """Without the database only people ask, and only a little."""
    return StoreUnavailable(
        "The bot's database does not answer, so it cannot know what may still be asked of Celonis.",
        hint="Ask again in a minute; the bot's admin has to look at the database.",
        undone=NOT_SENT,
    )


def day_spent(lane: Lane, limit: int, until: datetime | None) -> QuotaExhausted:
    """The day's calls are gone, but for what is kept for better lanes."""
    match lane:
        case Lane.GUARDED:
            whose = f"All {limit:,} calls of the day are spent."
        case Lane.PEOPLE:
            whose = "The day's calls are spent but for a reserve that is kept for stopping and starting jobs."
        case Lane.BACKGROUND:
            whose = "The rest of the day's calls is kept for people."
    when = f"Calls come back from {MOMENT} on." if until else "Ask again later."
    return QuotaExhausted(whose, moment=until, hint=when)


def part_spent(refused: Refused) -> QuotaExhausted:
    """One person, or one place, has had its part of the day."""
    who = "You have" if refused is Refused.PERSON else "This place has"
    return QuotaExhausted(
        f"{who} used up the share of today's calls.",
        hint="What was asked before is still answered, with its age. An admin of the bot can allow more: "
        "“quota allow <person> <n> today”.",
    )
