"""What was made of a sentence, for those who want to know why: for a person, and as JSON."""

from __future__ import annotations

from typing import Any

from bot.dispatch import Trace
from bot.language.edges import Cost
from bot.language.say import say
from bot.language.understand import Understanding
from bot.meaning import One, Several
from bot.model.cards import Answer, Confirm, Run, Status, buttons
from bot.render.safe_text import clean

COSTS = {
    "unknown": "words not understood",
    "edits": "edits",
    "missing": "missing words",
    "tier": "tier of the weakest name",
    "edges": "edges",
    "roles": "roles without a word for them",
}
"""Components of a reading's cost, in the order in which they count, as people are told of them."""
OUTCOMES = {
    Status.ANSWERED: "answered",
    Status.WORKING: "failed",
    Status.REFUSED: "refused",
    Status.FAILED: "failed",
    Status.ASKED: "asked",
    Status.NOT_UNDERSTOOD: "unclear",
    Status.QUESTION: "question",
}


def line_of(text: str, answer: Answer, trace: Trace, exit_code: int) -> dict[str, Any]:
    """An answer as one line of `ask -`; docs/terminal.md says what stands in it."""
    meaning, pressed = trace.meaning, [each.action for each in buttons(answer.card)]
    match meaning:
        case One(taken=taken):
            pass
        case Several(understood=Understanding(readings=(first, *_))):
            taken = first.taken
        case _:
            taken = ()
    return {
        "text": text,
        "outcome": OUTCOMES[answer.card.status],
        "said": say(meaning.intent) if isinstance(meaning, One) else "",
        "headline": answer.card.headline,
        "offers": [say(each.intent) for each in pressed if isinstance(each, Run)],
        "ticket": next((each.ticket for each in pressed if isinstance(each, Confirm)), ""),
        "corrections": [list(each) for each in taken],
        "calls": trace.calls,
        "exit_code": exit_code,
    }


def explained(text: str, trace: Trace) -> dict[str, Any]:
    """The account of every word, and all that the sentence can mean, the cheapest first."""
    understood = trace.meaning.understood if trace.meaning is not None else Understanding()
    every = (*understood.readings, *understood.offers)
    account = [[each.text, each.role] for each in (every[0].account if every else understood.account)]
    winner = understood.readings[0].cost if understood.readings else None
    return {
        "account": account or [[each, "not understood"] for each in understood.unknown or (text,)],
        "candidates": [
            {
                "sentence": say(each.intent),
                "costs": each.cost._asdict(),
                "won": at < len(understood.readings),
                "lost_by": "" if at < len(understood.readings) else _lost_by(each.cost, winner),
            }
            for at, each in enumerate(every)
        ],
    }


def _lost_by(cost: Cost, winner: Cost | None) -> str:
    """The first component in which a cost is higher than the winner's; without a winner, what kept it from being one."""
    if winner is None:
        return "unknown" if cost.unknown else ""
    pairs = zip(Cost._fields, cost, winner, strict=True)
    return next((name for name, own, least in pairs if own > least), "")


def account_text(account: dict[str, Any]) -> str:
    """What `explained` found, for a person."""
    width = max(len(words) for words, _ in account["account"])
    lines = [
        "What each word was read as",
        *(f"  {words:{width}}  {role}" for words, role in account["account"]),
    ]
    won = next((each for each in account["candidates"] if each["won"]), None)
    if account["candidates"]:
        lines += ["", "What it can mean, the cheapest first"]
    for each in account["candidates"]:
        costs = [f"{COSTS[name]} {count}" for name, count in each["costs"].items() if count]
        lines += [
            f"{'→' if each['won'] else ' '} {each['sentence']}",
            f"    cost: {', '.join(costs) or 'none'}",
        ]
        if by := each["lost_by"]:
            against = f" against {won['costs'][by]}" if won else ", so it was not answered"
            lines.append(f"    not taken: {COSTS[by]} {each['costs'][by]}{against}")
    return "\n".join(map(clean, lines))
