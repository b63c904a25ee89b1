"""Studio and the classic workspaces: spaces, packages and what they hold, analyses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from bot.sandbox.pools import stable_id
from bot.sandbox.replies import Refused, Reply, always, denied, not_found, ok

if TYPE_CHECKING:
    from bot.sandbox.routes import Call

_SINCE_CHANGE = 30 * 86_400


@dataclass(frozen=True, slots=True)
class Node:
    """A package, or something in it."""

    id: str
    key: str
    name: str
    kind: Literal["PACKAGE", "ASSET"]
    package: str
    space: str
    asset: str | None = None


class Studio:
    """What `studio.json` says; `open_packages` are the keys of those that aren't restricted."""

    def __init__(self, given: dict[str, Any], start: float) -> None:
        self.spaces: list[dict[str, str]] = given["spaces"]
        self.analyses: list[dict[str, str]] = given["analyses"]
        self.changed = int((start - _SINCE_CHANGE) * 1000)
        self.open_packages = frozenset(
            item["key"] for item in given["packages"] if not item.get("restricted")
        )
        self.nodes = [node for item in given["packages"] for node in _nodes(item)]


def _nodes(package: dict[str, Any]) -> list[Node]:
    key, space = package["key"], package["space"]
    top = Node(package.get("id", stable_id("package", key)), key, package["name"], "PACKAGE", key, space)
    return [top] + [
        Node(
            stable_id("node", key, item["key"]), item["key"], item["name"], "ASSET", key, space, item["type"]
        )
        for item in package["assets"]
    ]


def list_spaces(call: Call) -> Reply:
    """Spaces with at least one visible package."""
    return ok([_space(call, space) for space in _visible_spaces(call)])


def one_space(call: Call) -> Reply:
    """One space."""
    identity = call.args[0]
    for space in _visible_spaces(call):
        if space["id"] == identity:
            return ok(_space(call, space))
    raise _missing(
        "Space", identity, known=any(space["id"] == identity for space in call.sandbox.studio.spaces)
    )


def list_packages(call: Call) -> Reply:
    """All visible packages."""
    return ok([_node(call, node) for node in _visible(call) if node.kind == "PACKAGE"])


def list_nodes(call: Call) -> Reply:
    """Visible nodes, of one space or one type of asset if asked for."""
    space, asset = call.query.get("spaceId"), call.query.get("assetType")
    return ok(
        [
            _node(call, node)
            for node in _visible(call)
            if space in (None, node.space) and asset in (None, node.asset)
        ]
    )


def one_node(call: Call) -> Reply:
    """One node."""
    identity = call.args[0]
    for node in _visible(call):
        if node.id == identity:
            return ok(_node(call, node))
    raise _missing("Node", identity, known=any(node.id == identity for node in call.sandbox.studio.nodes))


def list_analyses(call: Call) -> Reply:
    """Classic analyses: whoever may use packages sees them."""
    return ok([] if call.key.rights.packages == frozenset() else call.sandbox.studio.analyses)


def _visible(call: Call) -> list[Node]:
    return [node for node in call.sandbox.studio.nodes if call.key.rights.may_use(node.package)]


def _visible_spaces(call: Call) -> list[dict[str, str]]:
    shown = {node.space for node in _visible(call)}
    return [space for space in call.sandbox.studio.spaces if space["id"] in shown]


def _space(call: Call, space: dict[str, str]) -> dict[str, object]:
    return {**space, "changeDate": call.sandbox.studio.changed, **always("space")}


def _node(call: Call, node: Node) -> dict[str, object]:
    return {
        "id": node.id,
        "key": node.key,
        "name": node.name,
        "nodeType": node.kind,
        "assetType": node.asset,
        "rootNodeKey": node.package,
        "rootWithKey": f"{node.package}.{node.key}",
        "spaceId": node.space,
        "version": "1.0.0",
        "changeDate": call.sandbox.studio.changed,
    }


def _missing(what: str, identity: str, *, known: bool) -> Refused:
    if known:
        return Refused(denied())
    return not_found(what, identity)
