"""What the policy's tables say: who may do what, on what, where; and which fields nobody sees."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, TypeAlias

from pydantic import Field

from bot.config.section import Fault, Reading, Section, Several, form, meant

_HEX = "[0-9a-fA-F]"
_UUID = f"{_HEX}{{8}}(?:-{_HEX}{{4}}){{3}}-{_HEX}{{12}}"
_TEAM = "[TE][A-Z0-9]+"


def is_uuid(text: str) -> bool:
    """Whether a text is an id of Microsoft's."""
    return bool(re.fullmatch(_UUID, text))


_SlackTeam: TypeAlias = Annotated[str, form(f"|{_TEAM}", "be a Slack team id such as T0123456, not a name")]
_Tenant: TypeAlias = Annotated[str, form(f"|{_UUID}", "be the tenant's id, a UUID, not a name")]
_SlackPerson: TypeAlias = Annotated[
    str,
    form(
        rf"{_TEAM}:(\*|[UW][A-Z0-9]+)",
        "look like T1:U1, the user's own team and id (or T1:* for everybody of T1)",
    ),
]
_TeamsPerson: TypeAlias = Annotated[
    str,
    form(
        rf"{_UUID}:(\*|{_UUID})",
        "be tenant id:object id, two UUIDs (or tenant id:* for everybody of the tenant)",
    ),
]
_Mail: TypeAlias = Annotated[
    str,
    form(r"[^@\s]+@[^@\s*?]+\.[^@\s*?]+", "be an address or *@example.com, with the domain written out"),
]
_Group: TypeAlias = Annotated[
    str, form(rf"slack:{_TEAM}:S[A-Z0-9]+", "look like slack:T1:S1; Teams has no groups that a bot may read")
]
_Place: TypeAlias = Annotated[
    str,
    form(
        rf"slack:{_TEAM}:(\*|[CGD][A-Z0-9]+)|teams:{_UUID}:.+|local:[^:]+:.+",
        "look like slack:T1:C1 or teams:tenant id:conversation id (or * in place of the last part)",
    ),
]


PlaceKey: TypeAlias = Annotated[
    str,
    form(
        rf"|slack:{_TEAM}:[CGD][A-Z0-9]+|teams:{_UUID}:.+",
        "look like slack:T1:C1 or teams:tenant id:conversation id",
    ),
]
"""One place; empty for none."""


_Told: TypeAlias = Annotated[
    str,
    form(
        rf"slack:{_TEAM}:[CGDUW][A-Z0-9]+|teams:{_UUID}:.+",
        "look like slack:T1:C1 (a place) or slack:T1:U1 (a person), or teams:tenant id:conversation or object id",
    ),
]


class Right(StrEnum):
    """What a rule of the policy can grant. None of them implies another."""

    READ = "read"
    PUBLIC = "public"
    EXPORT = "export"
    CANCEL = "cancel"
    RUN = "run"
    RUN_FULL = "run full"
    MANAGE = "manage"
    ADMIN = "admin"


class Binding(Section):
    """Which connections exist in one workspace, tenant or on this machine."""

    slack: _SlackTeam = Field("", description="Slack team id, such as `T0123456`.")
    teams: _Tenant = Field("", description="Microsoft Entra tenant id.")
    local: bool = Field(False, description="The terminal and the local web page.")
    connections: Several[str] = Field(
        description="Names of connections; the first is the one meant by default."
    )

    @property
    def platform(self) -> str:
        """`slack`, `teams` or `local`."""
        return "slack" if self.slack else "teams" if self.teams else "local"

    @property
    def home(self) -> str:
        """Slack team id or tenant id; empty for `local`."""
        return self.slack or self.teams

    def faults(self, reading: Reading) -> Iterator[Fault]:
        if sum(map(bool, (self.slack, self.teams, self.local))) != 1:
            yield (), " must name exactly one of slack, teams and local."
        for name in self.connections:
            if name not in reading.names:
                yield (), f" names the connection {name}, which is not there{meant(name, reading.names)}"


class Who(Section):
    """To whom a rule applies: any of the persons and, where places are given, only there."""

    slack: Several[_SlackPerson] = Field(
        (), description="`T1:U1`, the user's own team and id; `T1:*` is everybody of T1."
    )
    teams: Several[_TeamsPerson] = Field(
        (), description="`tenant:object id`; `tenant:*` is everybody of the tenant."
    )
    email: Several[_Mail] = Field((), description="E-mail addresses, `*@example.com` too; full members only.")
    groups: Several[_Group] = Field((), description="Slack user groups: `slack:T1:S1`.")
    local: Several[str] = Field((), description='Users of this machine; "*" is all of them.')
    places: Several[_Place] = Field(
        (), description="`slack:T1:C1`, `teams:tenant:conversation`; alone: every full member there."
    )

    @property
    def persons(self) -> bool:
        """Whether it names any."""
        return any((self.slack, self.teams, self.email, self.groups, self.local))

    def faults(self, reading: Reading) -> Iterator[Fault]:
        if not self.persons and not self.places:
            yield (), ' names nobody; to mean everybody of a workspace say slack = ["T1:*"].'


class On(Section):
    """On what a rule grants. Patterns (`*` and `?`, any case) of the name, or the exact id."""

    connection: Several[str] = Field((), description="Connections.")
    pool: Several[str] = Field((), description="Data pools.")
    job: Several[str] = Field((), description="Data jobs.")
    data_model: Several[str] = Field((), description="Data models of data pools.")
    space: Several[str] = Field((), description="Spaces of Studio.")
    package: Several[str] = Field((), description="Packages of spaces.")
    analysis: Several[str] = Field((), description="Analyses.")
    model: Several[str] = Field((), description="Knowledge models.")
    record: Several[str] = Field((), description="Records.")
    field: Several[str] = Field((), description="Fields of records.")
    kpi: Several[str] = Field((), description="KPIs.")
    filter: Several[str] = Field((), description="Filters of knowledge models.")


class Rule(Section):
    """One rule of the policy. Rules only ever grant; what no rule grants is denied."""

    name: str = Field("", max_length=80, description="What the rule is called in answers and in the log.")
    who: Who = Field(description="To whom it applies.")
    may: Several[Right] = Field(min_length=1, description="The rights that it grants; none implies another.")
    on: On = Field(default_factory=On, description="On what; nothing said means on everything.")
    external: bool = Field(
        False,
        description="Whether `public` holds where guests or people of other organisations read along, too.",
    )
    questions: PlaceKey = Field(
        "",
        description="Place that gets the questions of writes which this rule grants, where they were asked in one "
        "that may not see them: `slack:T1:C1`. It has to be `public` itself.",
    )

    def faults(self, reading: Reading) -> Iterator[Fault]:
        on, may = self.on, set(self.may)
        data = any((on.model, on.record, on.field, on.kpi, on.filter))
        pools = any((on.pool, on.job, on.data_model))
        studio = any((on.space, on.package, on.analysis))
        if data + pools + studio > 1:
            yield (), ": on speaks of two of pools, knowledge models and spaces; make a rule of each."
        if Right.PUBLIC in may and (self.who.persons or not self.who.places):
            yield (
                (),
                ": public is a right of places; name who.places and no persons (other rights go into another rule).",
            )
        if {Right.MANAGE, Right.ADMIN} & may and on != On():
            yield (), ": manage and admin cannot be narrowed by on; put them into a rule without it."
        about_jobs = sorted({Right.CANCEL, Right.RUN, Right.RUN_FULL} & may)
        if about_jobs and (data or studio or on.data_model):
            yield (), f": {about_jobs[0]} is about jobs; on must not speak of anything but pools and jobs."


class SecondPerson(Section):
    """What changes a data pool needs two people who confirm it."""

    break_glass_minutes: float = Field(
        0,
        ge=0,
        le=55,
        description="Minutes after the first confirmation from which on the first person may go on alone, with a reason that the "
        "admins are told; 0 is never.",
    )


class Notify(Section):
    """Who is told of every write on some data pools."""

    to: Several[_Told] = Field(
        min_length=1,
        description="Places (`slack:T1:C1`, `teams:tenant:conversation`) and people (`slack:T1:U1`, `teams:tenant:object id`); "
        "who may not see the data pool is told without names.",
    )


class HiddenField(Section):
    """Fields that nobody sees, sorts, filters, groups or searches by. Patterns of the name or the id."""

    connection: Several[str] = Field((), description="Only of these connections.")
    model: Several[str] = Field((), description="Only of these knowledge models.")
    record: Several[str] = Field((), description="Only of these records.")
    field: Several[str] = Field(min_length=1, description="The fields.")
