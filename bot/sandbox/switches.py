"""What the sandbox does where the real API may differ, or isn't documented: one flat set, changeable while it runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin, get_type_hints


@dataclass(slots=True)
class Switches:
    """All switches with the values of a documented, well-behaved team. Durations are seconds.

    Attributes:
        texts: Error texts of the current (`new`) or of the earlier (`old`) error catalog.
        row_cap: Rows that can be reached in all per filtered and sorted table (1000, or 5000 in later documents).
        beyond_rows: A page behind the row cap is empty, or an error.
        page_cap: Rows a page, by licence 50, 100, 500 or 5000.
        beyond_page: A larger `pageSize` is an error, or cut down to the cap.
        field_cap: Fields a request.
        per_second: Requests of a team (and family) in any `window`.
        window: Length of that window.
        second_rule: `arrivals` counts what arrived within the window; `simultaneous` (a licence's rule) counts what
            is being answered at the same moment.
        per_day: Requests of a team (and family) a day.
        tiny_per_day: The same for the team of the key `tiny`.
        day_rule: `hard` rejects above `per_day`; `soft` (a licence's rule) only counts.
        day_anchor: When the server's day begins: midnight UTC, 06:10 UTC, or never (the last 24 hours count).
        families: The API families have quotas of their own, or share one.
        limited: All families are limited, or the Intelligence API only.
        rejected_count: A request that was answered with 429 uses up quota, too.
        rate_headers: Send the rate headers with every reply, with 429 only, or never.
        reset: Dialect of the moment to wait for in a 429: header as seconds, as epoch seconds, as an ISO date-time;
            only in the body's text; nowhere; or nonsense.
        pool_total: What `totalCount` of the paged list of pools counts: pools, or pages.
        cancel_delay: From the cancel call until the run's status is CANCEL.
        cancel_effect: `cancels`; `ignored`: empty 2xx and no effect; `finished first`: the run ends by itself just
            before the call takes hold; `restarted first`: so it does, and the call hits the run that began then.
        cancel_blocks: The cancel call answers only after this time; it takes effect from its arrival on.
        cancel_status: Status of the reply to a cancel call that takes effect all the same.
        restart_after_cancel: A cancelled job starts again by itself after this time; negative: never.
        queue_delay: A started run is QUEUED so long.
        run_duration: A started run is RUNNING so long.
        run_outcome: How started runs end; `as defined`: as the job is described in the data set.
        execution_ids: Jobs name their current and latest execution; else both are null.
        load_duration: A data model's load takes so long.
        token_seconds: Life of an OAuth access token, also its `expires_in`.
        slow_seconds: How long the key `slow` waits for each reply.
    """

    texts: Literal["new", "old"] = "new"
    row_cap: int = 1000
    beyond_rows: Literal["empty", "error"] = "empty"
    page_cap: int = 50
    beyond_page: Literal["error", "clamp"] = "error"
    field_cap: int = 200
    per_second: int = 20
    window: float = 1.0
    second_rule: Literal["arrivals", "simultaneous"] = "arrivals"
    per_day: int = 6000
    tiny_per_day: int = 10
    day_rule: Literal["hard", "soft"] = "hard"
    day_anchor: Literal["midnight", "06:10", "rolling"] = "midnight"
    families: Literal["separate", "shared"] = "separate"
    limited: Literal["all", "intelligence"] = "all"
    rejected_count: bool = True
    rate_headers: Literal["always", "429", "never"] = "always"
    reset: Literal["seconds", "epoch", "iso", "body", "missing", "absurd"] = "seconds"
    pool_total: Literal["pools", "pages"] = "pools"
    cancel_delay: float = 3.0
    cancel_effect: Literal["cancels", "ignored", "finished first", "restarted first"] = "cancels"
    cancel_blocks: float = 0.0
    cancel_status: int = 200
    restart_after_cancel: float = -1.0
    queue_delay: float = 1.0
    run_duration: float = 45.0
    run_outcome: Literal["as defined", "SUCCESS", "FAIL", "SKIPPED"] = "as defined"
    execution_ids: bool = True
    load_duration: float = 20.0
    token_seconds: int = 899
    slow_seconds: float = 3.0

    def update(self, changes: Mapping[str, object]) -> None:
        """Sets the named switches, all or none.

        Raises:
            ValueError: An unknown switch, or a value that it can't take; the sentence names both and what is allowed.
        """
        for name, value in checked("switch", Switches, changes).items():
            setattr(self, name, value)


def checked(what: str, kind: type, given: Mapping[str, object]) -> dict[str, Any]:
    """Values from outside for attributes of `kind`, each of its attribute's type.

    Raises:
        ValueError: An unknown name, or a value that it can't have; the sentence calls it `what`.
    """
    hints, values = get_type_hints(kind), dict(given)
    for name, value in given.items():
        if name not in hints:
            raise ValueError(f"There is no {what} {name!r}. There is: {', '.join(hints)}.")
        allowed = get_args(hints[name]) or (hints[name],)
        if get_origin(hints[name]) is Literal:
            if value not in allowed:
                raise ValueError(f"The {what} {name} can't be {value!r}. It can be: {', '.join(allowed)}.")
        elif type(value) is int and float in allowed:
            values[name] = float(value)
        elif type(value) not in allowed:
            names = " or ".join(each.__name__ for each in allowed)
            raise ValueError(f"The {what} {name} must be {names}, not {value!r}.")
    return values
