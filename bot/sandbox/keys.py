"""The sandbox's credentials: one for every kind of right and trouble. Made up here, worth nothing anywhere else."""

from __future__ import annotations

import base64
import random
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, TypeAlias

Scheme: TypeAlias = Literal["bearer", "appkey"]

DEV = "dev"
TINY = "tiny"
DISABLED = "disabled"


@dataclass(frozen=True, slots=True)
class Rights:
    """What a key's subject may.

    Attributes:
        packages: Keys of the packages it has USE PACKAGE on; None: all.
        view_pools: Ids of the data pools it sees; None: all.
        manage_pools: Ids of the pools whose jobs it may start and cancel and whose data models it may load.
        grants: Service-wide grants, as `/api/cloud/permissions` lists them.
    """

    packages: frozenset[str] | None
    view_pools: frozenset[str] | None
    manage_pools: frozenset[str] | None
    grants: Mapping[str, list[str]]

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


def make_keys(
    seed: str, given: list[dict[str, Any]], *, open_packages: frozenset[str], open_pools: frozenset[str]
) -> Keys:
    """The credentials for this seed: the same seed gives the same keys.

    Args:
        seed: Of the sandbox.
        given: The keys of `team.json`; `packages`, `view` and `manage` are "all", "open" (all that aren't restricted) or
            a list, and nothing where they are missing; `as` names the key whose rights it shares.
        open_packages: Packages that aren't restricted.
        open_pools: The same for data pools.
    """
    by_name = {item["name"]: item for item in given}

    def scope(item: dict[str, Any], name: str, unrestricted: frozenset[str]) -> frozenset[str] | None:
        match item.get(name, ()):
            case "all":
                return None
            case "open":
                return unrestricted
            case some:
                return frozenset(some)

    def key(item: dict[str, Any]) -> Key:
        name = item["name"]
        dice = random.Random(f"{seed}/{name}")  # noqa: S311 - the same key for the same seed, on purpose
        owner = uuid.UUID(int=dice.getrandbits(128), version=4)
        inner = base64.b64encode(dice.randbytes(33)).decode()
        subject = by_name[item.get("as", name)]
        return Key(
            name=name,
            kind=item["kind"],
            secret=base64.b64encode(f"{owner}:{inner}".encode()).decode(),
            may=item["may"],
            rights=Rights(
                packages=scope(subject, "packages", open_packages),
                view_pools=scope(subject, "view", open_pools),
                manage_pools=scope(subject, "manage", open_pools),
                grants=subject.get("grants", {}),
            ),
            team=item.get("team", DEV),
            client_id=str(uuid.uuid5(uuid.NAMESPACE_OID, f"{seed}/oauth-client"))
            if item["kind"] == "oauth"
            else "",
            trouble=item.get("trouble", ""),
        )

    return Keys(**{item["name"]: key(item) for item in given})
