"""The sandbox's credentials: one for every kind of right and trouble. Made up here, worth nothing anywhere else."""

from __future__ import annotations

import base64
import random
import uuid
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

Scheme: TypeAlias = Literal["bearer", "appkey"]

DEV = "dev"
TINY = "tiny"
DISABLED = "disabled"

SCOPES = frozenset(
    {
        "intelligence.knowledge-models:read",
        "intelligence.subscriptions:manage",
        "integration.data-pools",
        "integration.data-pools:read",
        "integration.data-models:read",
        "package-manager",
        "studio",
        "team.user-group-info:read",
    }
)


@dataclass(frozen=True, slots=True)
class Rights:
    """What a key's subject may.

    Attributes:
        packages: Keys of the packages it has USE PACKAGE on; None: all.
        view_pools: Ids of the data pools it sees; None: all.
        manage_pools: Ids of the pools whose jobs it may start and cancel and whose data models it may load.
        services: Service-wide grants, as `/api/cloud/permissions` lists them.
    """

    packages: frozenset[str] | None = frozenset()
    view_pools: frozenset[str] | None = frozenset()
    manage_pools: frozenset[str] | None = frozenset()
    services: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def may_use(self, package: str) -> bool:
        """USE PACKAGE on this package?"""
        return self.packages is None or package in self.packages

    def may_view(self, pool: str) -> bool:
        """Is the pool visible?"""
        return self.view_pools is None or pool in self.view_pools

    def may_manage(self, pool: str) -> bool:
        """May jobs of the pool be started and cancelled?"""
        return self.manage_pools is None or pool in self.manage_pools


@dataclass(frozen=True, slots=True)
class Key:
    """One credential.

    Attributes:
        name: As the log and the faults call it.
        kind: `user` and `oauth` go under Bearer, `app` under AppKey.
        secret: The key itself; for `oauth` the client secret, or the access token of a token in use.
        may: What it may, in words.
        rights: The same, as checked.
        team: Whose quota it uses; the quota of a team is shared by its keys.
        client_id: Of an OAuth client.
        scopes: Of an OAuth access token; None: scopes don't apply.
        trouble: `failing`: every reply is a 500; `slow`: every reply waits.
    """

    name: str
    kind: Literal["user", "app", "oauth"]
    secret: str
    may: str
    rights: Rights
    team: str = DEV
    client_id: str = ""
    scopes: frozenset[str] | None = None
    trouble: Literal["", "failing", "slow"] = ""

    @property
    def scheme(self) -> Scheme:
        """The scheme it belongs under, lower case."""
        return "appkey" if self.kind == "app" else "bearer"

    @property
    def authorization(self) -> str:
        """Value of the Authorization header. An OAuth client has none before it asked for a token."""
        return f"{'AppKey' if self.kind == 'app' else 'Bearer'} {self.secret}"


@dataclass(frozen=True, slots=True)
class Keys:
    """All credentials of a sandbox, by name."""

    user: Key
    operator: Key
    reader: Key
    viewer: Key
    powerless: Key
    pool: Key
    disabled: Key
    tiny: Key
    oauth: Key
    failing: Key
    slow: Key

    def __iter__(self) -> Iterator[Key]:
        return (getattr(self, field.name) for field in fields(self))


_NO_SERVICES = (
    "workflows",
    "task-mining",
    "team",
    "action-engine",
    "process-repository",
    "process-analytics",
    "transformation-center",
    "storage-manager",
    "event-collection",
    "ml-workbench",
)


def _services(**granted: tuple[str, ...]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    names = ("package-manager", *_NO_SERVICES)
    return tuple((name, granted.get(name.replace("-", "_"), ())) for name in names)


def make_keys(seed: str, *, open_packages: frozenset[str], open_pools: frozenset[str], one_pool: str) -> Keys:
    """The credentials for this seed: the same seed gives the same keys.

    Args:
        seed: Of the sandbox.
        open_packages: Packages that every key with USE PACKAGE may use; all others are the user key's alone.
        open_pools: The same for data pools.
        one_pool: The pool of the key that has only one.
    """
    studio = ("MANAGE_PERMISSIONS", "EDIT_ALL_SPACES", "CREATE_SPACE", "DELETE_ALL_SPACES")
    nobody = Rights(services=_services())
    reader = Rights(packages=open_packages, services=_services())
    viewer = Rights(open_packages, open_pools, frozenset(), _services())
    operator = Rights(open_packages, open_pools, open_pools, _services(package_manager=studio))
    everything = Rights(
        None,
        None,
        None,
        _services(
            package_manager=studio,
            process_analytics=("CREATE_WORKSPACES", "EDIT_ALL_WORKSPACES"),
            event_collection=("EDIT_ALL_DATA_POOLS", "USE_ALL_DATA_MODELS"),
        ),
    )
    one = frozenset({one_pool})

    def secret(name: str) -> str:
        dice = random.Random(f"{seed}/{name}")  # noqa: S311 - the same key for the same seed, on purpose
        owner = uuid.UUID(int=dice.getrandbits(128), version=4)
        return base64.b64encode(f"{owner}:{base64.b64encode(dice.randbytes(33)).decode()}".encode()).decode()

    client_id = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{seed}/oauth-client"))
    return Keys(
        user=Key(
            "user",
            "user",
            secret("user"),
            "everything, the restricted packages and pool included",
            everything,
        ),
        operator=Key(
            "operator",
            "app",
            secret("operator"),
            "USE PACKAGE on all packages but the restricted ones; view and manage all pools but the restricted one",
            operator,
        ),
        reader=Key(
            "reader",
            "app",
            secret("reader"),
            "USE PACKAGE on all packages but the restricted ones; no pools",
            reader,
        ),
        viewer=Key(
            "viewer",
            "app",
            secret("viewer"),
            "as reader, and view all pools but the restricted one; may start and cancel nothing",
            viewer,
        ),
        powerless=Key(
            "powerless",
            "app",
            secret("powerless"),
            "nothing, as a new application key: its lists are empty",
            nobody,
        ),
        pool=Key(
            "pool",
            "app",
            secret("pool"),
            "view and manage the pool SAP ECC, nothing else",
            Rights(frozenset(), one, one, _services()),
        ),
        disabled=Key(
            "disabled",
            "app",
            secret("disabled"),
            "belongs to a team without the Intelligence API: empty 403 there",
            operator,
            team=DISABLED,
        ),
        tiny=Key(
            "tiny", "app", secret("tiny"), "as operator, in a team with a tiny quota", operator, team=TINY
        ),
        oauth=Key(
            "oauth",
            "oauth",
            secret("oauth"),
            "as operator, within the scopes asked for; POST /oauth2/token gives short-lived tokens",
            operator,
            client_id=client_id,
        ),
        failing=Key(
            "failing",
            "app",
            secret("failing"),
            "every call ends in a 500 with a support id",
            operator,
            trouble="failing",
        ),
        slow=Key(
            "slow", "app", secret("slow"), "as operator, but every reply waits", operator, trouble="slow"
        ),
    )
