"""Every path that is served, in one table, and the way from a request to its handler.

The table holds what the bot's commands, PyCelonis and content-cli call, and what the sandbox offers for itself; `*`
is one variable segment. The search is our own because it is on the way of every request and knows only whole segments.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import unquote

from multidict import MultiMapping

from bot.sandbox import control, integration, intelligence, studio, team
from bot.sandbox.keys import Key
from bot.sandbox.replies import Reply

if TYPE_CHECKING:
    from bot.sandbox.server import Sandbox


@dataclass(frozen=True, slots=True)
class Call:
    """A request that a handler answers.

    Attributes:
        sandbox: Who is asked.
        method: HTTP method.
        path: As sent, still encoded.
        query: Decoded parameters, repeated ones in order.
        body: As sent.
        key: Who asks; on `/__sandbox__` nobody in particular.
        args: The decoded variable segments of the path, in order.
    """

    sandbox: Sandbox
    method: str
    path: str
    query: MultiMapping[str]
    body: bytes
    key: Key
    args: tuple[str, ...]


Handler: TypeAlias = "Callable[[Call], Reply]"

_KM = "/intelligence/api/knowledge-models"
_POOL = "/integration/api/pools/*"
_STUDIO = "/package-manager/api"
_OWN = "/__sandbox__"

ROUTES: tuple[tuple[str, str, Handler], ...] = (
    ("GET", f"{_OWN}/keys", control.keys),
    ("GET", f"{_OWN}/log", control.log),
    ("DELETE", f"{_OWN}/log", control.clear_log),
    ("GET", f"{_OWN}/verdict", control.verdict),
    ("GET", f"{_OWN}/switches", control.switches),
    ("PUT", f"{_OWN}/switches", control.change_switches),
    ("GET", f"{_OWN}/faults", control.faults),
    ("POST", f"{_OWN}/faults", control.add_fault),
    ("DELETE", f"{_OWN}/faults", control.clear_faults),
    ("POST", f"{_OWN}/jobs", control.order_job),
    ("POST", f"{_OWN}/time", control.move_time),
    ("POST", f"{_OWN}/quota", control.spend_quota),
    ("POST", f"{_OWN}/tokens/revoke", control.revoke_tokens),
    ("POST", f"{_OWN}/down", control.go_down),
    ("POST", f"{_OWN}/reset", control.reset),
    ("GET", "/api/cloud", team.current_user),
    ("GET", "/api/cloud/team", team.team),
    ("GET", "/api/team", team.team),
    ("GET", "/api/cloud/permissions", team.permissions),
    ("GET", _KM, intelligence.list_knowledge_models),
    ("GET", f"{_KM}/*", intelligence.one_knowledge_model),
    ("GET", f"{_KM}/*/records", intelligence.list_records),
    ("GET", f"{_KM}/*/records/*", intelligence.one_record),
    ("GET", f"{_KM}/*/kpis", intelligence.list_kpis),
    ("GET", f"{_KM}/*/filters", intelligence.list_filters),
    ("GET", f"{_KM}/*/triggers", intelligence.list_triggers),
    ("GET", f"{_KM}/*/triggers/*", intelligence.one_trigger),
    ("GET", "/intelligence/api/subscriptions", intelligence.list_subscriptions),
    ("GET", f"{_KM}/*/data", intelligence.data),
    ("POST", f"{_KM}/*/data", intelligence.data),
    ("GET", f"{_KM}/*/records/*/data", intelligence.data),
    ("POST", f"{_KM}/*/records/*/data", intelligence.data),
    ("GET", "/integration/api/pools", integration.list_pools),
    ("GET", "/integration/api/pools/paged", integration.page_pools),
    ("GET", _POOL, integration.one_pool),
    ("GET", f"{_POOL}/jobs", integration.list_jobs),
    ("GET", f"{_POOL}/jobs/*", integration.one_job),
    ("POST", f"{_POOL}/jobs/*/cancel", integration.cancel),
    ("POST", f"{_POOL}/jobs/*/execute", integration.execute),
    ("POST", "/integration/api/v2/data-pools/*/data-jobs/*/execute", integration.execute_officially),
    ("GET", f"{_POOL}/logs/status", integration.statuses),
    ("GET", f"{_POOL}/logs/executions", integration.children),
    ("GET", f"{_POOL}/logs/executions/detail", integration.messages),
    ("GET", f"{_POOL}/logs/*/executions", integration.executions),
    ("GET", f"{_POOL}/data-models", integration.list_data_models),
    ("GET", f"{_POOL}/data-models/*", integration.one_data_model),
    ("GET", f"{_POOL}/data-models/*/load-history/load-info-sync", integration.load_state),
    ("POST", f"{_POOL}/data-models/*/reload", integration.reload),
    ("GET", f"{_STUDIO}/spaces", studio.list_spaces),
    ("GET", f"{_STUDIO}/spaces/*", studio.one_space),
    ("GET", f"{_STUDIO}/packages", studio.list_packages),
    ("GET", f"{_STUDIO}/nodes", studio.list_nodes),
    ("GET", f"{_STUDIO}/nodes/tree", studio.list_nodes),
    ("GET", f"{_STUDIO}/nodes/*", studio.one_node),
    ("GET", "/process-mining/api/analysis", studio.list_analyses),
)


def index() -> str:
    """All routes with what each is for."""
    lines = ["This is a sandbox: a made-up Celonis team on this machine.", ""]
    lines += [f"{method:<6} {path:<60} {_about(handler)}" for method, path, handler in ROUTES]
    return "\n".join(lines) + "\n"


def _about(handler: Handler) -> str:
    return (handler.__doc__ or "").partition("\n")[0].removesuffix(".")


def _patterns() -> dict[int, dict[tuple[str, ...], dict[str, Handler]]]:
    """The table by length of the path; of several patterns that fit, the one with the fewest `*` comes first."""
    table: dict[int, dict[tuple[str, ...], dict[str, Handler]]] = {}
    for method, pattern, handler in sorted(ROUTES, key=lambda route: route[1].count("*")):
        segments = tuple(pattern.strip("/").split("/"))
        table.setdefault(len(segments), {}).setdefault(segments, {})[method] = handler
    return table


_PATTERNS = _patterns()


def find(method: str, raw_path: str) -> tuple[Handler | None, tuple[str, ...], bool]:
    """Looks a path up.

    Returns:
        The handler (None without one), the decoded variable segments, and whether the path is known at all.
    """
    sent = raw_path.split("/")[1:]
    for segments, methods in _PATTERNS.get(len(sent), {}).items():
        if all(wanted in ("*", given) for wanted, given in zip(segments, sent, strict=True)):
            variable = zip(segments, sent, strict=True)
            return (
                methods.get(method),
                tuple(unquote(given) for wanted, given in variable if wanted == "*"),
                True,
            )
    return None, (), False
