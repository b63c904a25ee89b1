"""Studio and the classic workspaces: spaces, packages and what they hold, analyses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from bot.sandbox.content import RESTRICTED_PACKAGE
from bot.sandbox.pools import stable_id
from bot.sandbox.replies import Refused, Reply, integration_problem, ok

if TYPE_CHECKING:
    from bot.sandbox.routing import Call, Route

_TEST = "28572e4b-a08f-4201-9764-12bfcd1f9873"
_PYCELONIS = "4daa2d6e-af72-4d19-9399-f7b1d1639f49"
_DEFAULT = "3c895d6e-38c1-4ea7-9451-13ee5c55b67a"
_PURCHASING = "341b450c-7f92-26e6-b79c-2d38a1a87d38"
_FINANCE = stable_id("space", "finance")

_SPACES = (
    (_TEST, "TEST"),
    (_PYCELONIS, "PYCELONIS"),
    (_DEFAULT, "Default"),
    (_PURCHASING, "Purchasing & Logistics"),
    (_FINANCE, "Finance (restricted)"),
)


@dataclass(frozen=True, slots=True)
class _Node:
    id: str
    key: str
    name: str
    kind: Literal["PACKAGE", "FOLDER", "ASSET"]
    package: str
    space: str
    asset: str | None = None


def _package(
    key: str, name: str, space: str, *assets: tuple[str, str, str], package_id: str | None = None
) -> list[_Node]:
    nodes = [_Node(package_id or stable_id("package", key), key, name, "PACKAGE", key, space)]
    nodes.extend(
        _Node(stable_id("node", key, asset_key), asset_key, asset_name, "ASSET", key, space, kind)
        for asset_key, asset_name, kind in assets
    )
    return nodes


_KNOWLEDGE = "SEMANTIC_MODEL"

_NODES = [
    *_package(
        "open-purchase-requisition",
        "Open Purchase Requisition",
        _PURCHASING,
        ("purchase-requisition-km", "Purchase Requisition KM", _KNOWLEDGE),
        ("open-requisitions", "Open requisitions", "BOARD_V2"),
        ("requisition-analysis", "Requisition analysis", "analysis"),
        package_id="b3f1149b-2aff-462a-a793-f20bec9a7af1",
    ),
    *_package(
        "order-to-cash",
        "Order to Cash",
        _PURCHASING,
        ("order-to-cash-km", "Order to Cash", _KNOWLEDGE),
        ("delivery-performance", "Delivery performance", "analysis"),
    ),
    *_package(
        "accounts-payable",
        "Accounts Payable",
        _DEFAULT,
        ("accounts-payable-km", "Accounts Payable", _KNOWLEDGE),
    ),
    *_package(
        "procurement-emea",
        "Procurement EMEA",
        _PURCHASING,
        ("purchase-requisition-km", "Purchase Requisition KM", _KNOWLEDGE),
    ),
    *_package("new-ideas", "New ideas", _TEST, ("empty-km", "Empty KM", _KNOWLEDGE)),
    *_package("quality-lab", "Quality lab", _PYCELONIS, ("formats-km", "Formats and Limits", _KNOWLEDGE)),
    *_package(
        RESTRICTED_PACKAGE, "Executive finance", _FINANCE, ("cash-forecast-km", "Cash Forecast", _KNOWLEDGE)
    ),
]

_WORKSPACES = ((stable_id("workspace", "finance"), "Finance"), (stable_id("workspace", "sales"), "Sales"))

_ANALYSES = (
    (stable_id("analysis", "cash discount"), "Open Cash Discount", _WORKSPACES[0][0]),
    (stable_id("analysis", "late payments"), "Late payments", _WORKSPACES[0][0]),
    (stable_id("analysis", "on time"), "On-time delivery", _WORKSPACES[1][0]),
)


class Studio:
    """The handlers of `/package-manager/api` and `/process-mining`."""

    def __init__(self, start: float) -> None:
        self._changed = int((start - 30 * 86_400) * 1000)

    def routes(self) -> list[Route]:
        """What is served."""
        manager = "/package-manager/api"
        return [
            ("GET", f"{manager}/spaces", self.list_spaces),
            ("GET", f"{manager}/spaces/*", self.one_space),
            ("GET", f"{manager}/packages", self.list_packages),
            ("GET", f"{manager}/nodes", self.list_nodes),
            ("GET", f"{manager}/nodes/tree", self.list_nodes),
            ("GET", f"{manager}/nodes/*", self.one_node),
            ("GET", "/process-mining/api/analysis", self.list_analyses),
            ("GET", "/process-mining/api/processes", self.list_workspaces),
            ("GET", "/process-mining/analysis/v1.2/api/analysis/*", self.one_analysis),
        ]

    def list_spaces(self, call: Call) -> Reply:
        """Spaces with at least one visible package."""
        return ok([self._space(identity, name) for identity, name in self._visible_spaces(call)])

    def one_space(self, call: Call) -> Reply:
        """One space."""
        for identity, name in self._visible_spaces(call):
            if identity == call.args[0]:
                return ok(self._space(identity, name))
        raise _missing("Space", call.args[0], known=any(call.args[0] == identity for identity, _ in _SPACES))

    def list_packages(self, call: Call) -> Reply:
        """All visible packages."""
        return ok([self._node(node) for node in self._visible(call) if node.kind == "PACKAGE"])

    def list_nodes(self, call: Call) -> Reply:
        """Visible nodes, of one space or one type of asset if asked for."""
        space, asset = call.query.get("spaceId"), call.query.get("assetType")
        return ok(
            [
                self._node(node)
                for node in self._visible(call)
                if (space is None or node.space == space) and (asset is None or node.asset == asset)
            ]
        )

    def one_node(self, call: Call) -> Reply:
        """One node."""
        for node in self._visible(call):
            if node.id == call.args[0]:
                return ok(self._node(node))
        raise _missing("Node", call.args[0], known=any(node.id == call.args[0] for node in _NODES))

    def list_analyses(self, call: Call) -> Reply:
        """Classic analyses: whoever may use packages sees them."""
        if call.key.rights.packages == frozenset():
            return ok([])
        return ok(
            [{"id": identity, "name": name, "parentObjectId": parent} for identity, name, parent in _ANALYSES]
        )

    def one_analysis(self, call: Call) -> Reply:
        """One classic analysis."""
        identity = call.args[0]
        known = any(identity == candidate for candidate, _, _ in _ANALYSES)
        if not known or call.key.rights.packages == frozenset():
            raise _missing("Analysis", identity, known=known)
        return ok(
            next(
                {
                    "analysis": {
                        "id": candidate,
                        "name": name,
                        "parentObjectId": parent,
                        "lastModifiedDate": self._changed,
                    }
                }
                for candidate, name, parent in _ANALYSES
                if candidate == identity
            )
        )

    def list_workspaces(self, call: Call) -> Reply:
        """Classic workspaces."""
        if call.key.rights.packages == frozenset():
            return ok([])
        return ok(
            [
                {"id": identity, "name": name, "dataModelId": stable_id("data model of", identity)}
                for identity, name in _WORKSPACES
            ]
        )

    def _visible(self, call: Call) -> list[_Node]:
        return [node for node in _NODES if call.key.rights.may_use(node.package)]

    def _visible_spaces(self, call: Call) -> list[tuple[str, str]]:
        shown = {node.space for node in self._visible(call)}
        return [(identity, name) for identity, name in _SPACES if identity in shown]

    def _space(self, identity: str, name: str) -> dict[str, object]:
        return {
            "id": identity,
            "name": name,
            "iconReference": "folder",
            "creationDate": 1_624_615_392_821,
            "changeDate": self._changed,
            "permissions": [],
            "objectId": None,
        }

    def _node(self, node: _Node) -> dict[str, object]:
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
            "changeDate": self._changed,
        }


def _missing(what: str, identity: str, *, known: bool) -> Refused:
    if known:
        return Refused(integration_problem(403, "Access is denied", "ACCESS_DENIED"))
    return Refused(integration_problem(404, f"{what} with id {identity} was not found.", "NOT_FOUND"))
