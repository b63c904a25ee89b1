"""Telling answers at set times."""

from __future__ import annotations

from datetime import timedelta

from bot.audience import Shown
from bot.commands.command import Context
from bot.language.say import say
from bot.model.cards import Card, headline
from bot.render.values import when
from bot.store.watches import Watch
from bot.watching.loop import Looked
from bot.watching.orders import Digest, schedule_of
from bot.watching.outlet import Outlet

LATE = timedelta(minutes=10)
"""From when on it is said that the time was missed."""


async def tell(watch: Watch, order: Digest, context: Context, outlet: Outlet) -> Looked:
    """Asks its question as its owner and posts the answer; of several times that were missed, the last one."""
    schedule = schedule_of(order, watch.zone)
    assert schedule is not None
    assert order.of is not None
    following = Looked("", schedule.next(context.now))
    if watch.due_at == watch.snoozed_until:
        return following
    if context.now - watch.due_at >= LATE and watch.state != _SAID_LATE:
        sign = f"Missed {when(watch.due_at, context.reader)}: the bot was down; here it is now"
        await outlet.post(Shown(Card(headline(sign)), ()))
        await outlet.keep(_SAID_LATE)
    await outlet.ask(say(order.of))
    return following


_SAID_LATE = "said late"
