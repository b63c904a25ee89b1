"""The toml as people write it: every table and key, with bounds and descriptions, and what a rule may say."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Any, TypeAlias

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    WithJsonSchema,
)
from pydantic_core import CoreSchema
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

PREFIX = "CELONIS_CHAT_"
"""`CELONIS_CHAT_LIMITS__PER_DAY=3000` overrides `limits.per_day`; lists and tables are given as JSON."""

DEFAULT_OAUTH_SCOPE = "intelligence.knowledge-models:read integration.data-pools"

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z", re.IGNORECASE)
_SLACK_TEAM = re.compile(r"[TE][A-Z0-9]+\Z")
_SLACK_USER = re.compile(r"[UW][A-Z0-9]+\Z")
_SLACK_GROUP = re.compile(r"S[A-Z0-9]+\Z")
_SLACK_PLACE = re.compile(r"[CGD][A-Z0-9]+\Z")
_EMAIL = re.compile(r"[^@\s]+@[^@\s*?]+\.[^@\s*?]+\Z")


class Right(StrEnum):
    """What a rule of the policy can grant. None of them implies another."""

    READ = "read"
    PUBLIC = "public"
    CANCEL = "cancel"
    MANAGE = "manage"
    ADMIN = "admin"


class KeyType(StrEnum):
    """The kinds of API key; `BEARER` in the settings means `USER_KEY`, as in PyCelonis."""

    APP_KEY = "APP_KEY"
    USER_KEY = "USER_KEY"

    @property
    def scheme(self) -> str:
        """The word before the key in the `Authorization` header."""
        return "AppKey" if self is KeyType.APP_KEY else "Bearer"

    @property
    def other(self) -> KeyType:
        """The kind it may be instead."""
        return KeyType.USER_KEY if self is KeyType.APP_KEY else KeyType.APP_KEY


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


def parse_key_type(value: object) -> object:
    if not isinstance(value, str):
        return value
    folded = value.strip().upper().replace("-", "_").replace(" ", "_")
    return {"BEARER": "USER_KEY", "APPKEY": "APP_KEY", "USERKEY": "USER_KEY", "": None}.get(folded, folded)


def _hidden(value: object) -> object:
    return {"field": value} if isinstance(value, str) else value


class _OneOrSeveral:
    """Tells the JSON Schema of a list that one element may stand without its brackets."""

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        several = handler(schema)
        return {"anyOf": [several["items"], several]}


class _OrText:
    """Tells the JSON Schema of a table that a text may stand for it."""

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"anyOf": [{"type": "string"}, handler(schema)]}


Texts: TypeAlias = Annotated[tuple[str, ...], BeforeValidator(_listed), _OneOrSeveral()]
"""One text or a list of texts."""


class Section(BaseModel):
    """One table of the toml: frozen, and keys that it does not know are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Limits(Section):
    """What the Celonis team allows, and how the bot shares it."""

    per_second: int = Field(20, ge=1, le=1000, description="Requests in any one window, over all replicas.")
    window_seconds: float = Field(1.0, gt=0, le=3600, description="Length of that window in seconds.")
    guest_slots: int = Field(
        1, ge=0, le=100, description="Of these, kept free for one-shot commands beside running replicas."
    )
    per_day: int = Field(6000, ge=1, description="Requests a day.")
    fields: int = Field(200, ge=1, description="Fields in one request.")
    page: int = Field(50, ge=1, description="Records in one request.")
    rows: int = Field(1000, ge=1, description="Records of one table that can be reached at all.")
    background_reserve: float = Field(
        0.20, ge=0, lt=1, description="Share of the day below which nothing is read anew in the background."
    )
    people_reserve: float = Field(
        0.05, ge=0, lt=1, description="Share of the day below which only confirmed actions are sent."
    )
    person_share: float = Field(0.10, gt=0, le=1, description="Share of the day that one person may spend.")
    place_share: float = Field(0.50, gt=0, le=1, description="Share of the day that one place may spend.")


class DataModel(Section):
    """Which data model feeds a knowledge model, so that its load time can be looked up."""

    pool: str = Field(min_length=1, description="Id of the data pool.")
    data_model: str = Field(min_length=1, description="Id of the data model in that pool.")


class ConnectionSection(Section):
    """One Celonis team and identity."""

    title: str = Field("", max_length=60, description="Name on cards; else the team's own.")
    url: str = Field("", description="Any address of the team, as copied from the browser.")
    team: str = Field("", description="The team's name, the first part of the address; with `cluster`.")
    cluster: str = Field("", description="The cluster, the second part of the address, such as `eu-1`.")
    key_type: Annotated[
        KeyType | None, BeforeValidator(parse_key_type), WithJsonSchema({"enum": [*KeyType, "BEARER"]})
    ] = Field(None, description="`APP_KEY` or `USER_KEY` (also `BEARER`); found out when not given.")
    api_token_env: str = Field("", description="Environment variable that holds the API key.")
    api_token_file: str = Field(
        "", description="File that holds the API key; read again when it stops working."
    )
    oauth_client_id_env: str = Field("", description="Environment variable that holds the OAuth client id.")
    oauth_client_id_file: str = Field("", description="File that holds the OAuth client id.")
    oauth_client_secret_env: str = Field(
        "", description="Environment variable that holds the OAuth client secret."
    )
    oauth_client_secret_file: str = Field("", description="File that holds the OAuth client secret.")
    oauth_scope: str = Field(DEFAULT_OAUTH_SCOPE, description="OAuth scopes, with blanks between them.")
    timeout: float = Field(
        30.0, gt=0, le=600, description="Seconds to wait for an answer, as in PyCelonis (at most 600)."
    )
    total_retry: int = Field(
        2, ge=0, le=10, description="Further attempts of a read, as in PyCelonis (at most 10)."
    )
    backoff_factor: float = Field(
        1.0,
        ge=0,
        le=60,
        description="Seconds; attempt n waits at most this times 2^(n-1), as in PyCelonis.",
    )
    connect: bool = Field(True, description="Try the key at start.")
    permissions: bool = Field(True, description="Read at start what the key may do.")
    read_only: bool = Field(
        False, description="Take away every command that changes something, whatever the policy says."
    )
    limits: Limits | None = Field(
        None, description="The keys of `[limits]` that are different for this team."
    )
    data_models: dict[str, DataModel] = Field(
        default_factory=dict, description="Knowledge model id to the data model behind it."
    )


class Binding(Section):
    """Which connections exist in one workspace, tenant or on this machine."""

    slack: str = Field("", description="Slack team id, such as `T0123456`.")
    teams: str = Field("", description="Microsoft Entra tenant id.")
    local: bool = Field(False, description="The terminal and the local web page.")
    connections: Texts = Field(description="Names of connections; the first is the one meant by default.")

    @property
    def platform(self) -> str:
        """`slack`, `teams` or `local`."""
        return "slack" if self.slack else "teams" if self.teams else "local"

    @property
    def home(self) -> str:
        """Slack team id or tenant id; empty for `local`."""
        return self.slack or self.teams


class Who(Section):
    """To whom a rule applies: any of the persons and, where places are given, only there."""

    slack: Texts = Field((), description="`T1:U1`, the user's own team and id; `T1:*` is everybody of T1.")
    teams: Texts = Field((), description="`tenant:object id`; `tenant:*` is everybody of the tenant.")
    email: Texts = Field((), description="E-mail addresses, `*@example.com` too; full members only.")
    groups: Texts = Field((), description="Slack user groups: `slack:T1:S1`.")
    local: Texts = Field((), description='Users of this machine; "*" is all of them.')
    places: Texts = Field(
        (), description="`slack:T1:C1`, `teams:tenant:conversation`; alone: every full member there."
    )


class On(Section):
    """On what a rule grants. Patterns (`*` and `?`, any case) of the name, or the exact id."""

    connection: Texts = Field((), description="Connections.")
    pool: Texts = Field((), description="Data pools.")
    job: Texts = Field((), description="Data jobs.")
    model: Texts = Field((), description="Knowledge models.")
    record: Texts = Field((), description="Records.")
    field: Texts = Field((), description="Fields of records.")
    kpi: Texts = Field((), description="KPIs.")
    filter: Texts = Field((), description="Filters of knowledge models.")


class Rule(Section):
    """One rule of the policy. Rules only ever grant; what no rule grants is denied."""

    name: str = Field("", max_length=80, description="What the rule is called in answers and in the log.")
    who: Who = Field(description="To whom it applies.")
    may: Annotated[tuple[Right, ...], BeforeValidator(_listed), _OneOrSeveral()] = Field(
        min_length=1, description="The rights that it grants; none implies another."
    )
    on: On = Field(default_factory=On, description="On what; nothing said means on everything.")
    external: bool = Field(
        False,
        description="Whether `public` holds where guests or people of other organisations read along, too.",
    )
    questions: str = Field(
        "",
        description="Place that gets the questions of writes which this rule grants, where they were asked in one "
        "that may not see them: `slack:T1:C1`. It has to be `public` itself.",
    )


class HiddenField(Section):
    """Fields that nobody sees, sorts, filters, groups or searches by. Patterns of the name or the id."""

    connection: Texts = Field((), description="Only of these connections.")
    model: Texts = Field((), description="Only of these knowledge models.")
    record: Texts = Field((), description="Only of these records.")
    field: Texts = Field(min_length=1, description="The fields.")


class Synonyms(Section):
    """Words of your own for names in Celonis: word to name or id."""

    models: dict[str, str] = Field(default_factory=dict, description="For knowledge models.")
    records: dict[str, str] = Field(default_factory=dict, description="For records.")
    kpis: dict[str, str] = Field(default_factory=dict, description="For KPIs.")
    filters: dict[str, str] = Field(default_factory=dict, description="For filters.")
    pools: dict[str, str] = Field(default_factory=dict, description="For data pools.")
    jobs: dict[str, str] = Field(default_factory=dict, description="For data jobs.")


class Audit(Section):
    """What the log keeps beyond writes, refusals, expiries and failures."""

    reads: bool = Field(False, description="Whether reads are logged too (who asked what, without values).")


class Admin(Section):
    """Who runs the bot."""

    contact: str = Field(
        "",
        max_length=200,
        description="Named in refusals as who can change the policy, such as `the process team (#celonis)`.",
    )


class Server(Section):
    """Where `celonis-chat serve` listens."""

    host: str = Field(
        "127.0.0.1",
        min_length=1,
        description="Address for Slack and Teams; a proxy with TLS stands before it.",
    )
    port: int = Field(3978, ge=0, le=65535, description="Port for Slack and Teams.")
    admin_host: str = Field(
        "127.0.0.1", min_length=1, description="Address for readiness and metrics; not for the internet."
    )
    admin_port: int = Field(3979, ge=0, le=65535, description="Port for readiness and metrics.")
    trusted_proxies: Texts = Field(
        ("127.0.0.0/8", "::1"),
        description="Addresses or networks of proxies before the bot, such as `10.0.0.0/8`. Connections from elsewhere are at most 100 from one address.",
    )
    development: bool = Field(
        False,
        description="Accept Teams messages without a signature, for the local Agents Playground; loopback only.",
    )


class TeamsSection(Section):
    """Microsoft Teams."""

    service_hosts: Texts = Field(
        ("smba.trafficmanager.net", "*.botframework.com", "*.teams.microsoft.com"),
        description="Hosts of Microsoft's that answers go to, such as `smba.trafficmanager.net` or `*.teams.microsoft.com`; a message that names another one is refused.",
    )


class ChatLimits(Section):
    """Bounds on what people may ask of the bot itself."""

    text_length: int = Field(4000, ge=100, le=40_000, description="Longest sentence, in characters.")
    per_minute: int = Field(30, ge=1, description="Sentences and clicks of one person in a minute.")
    question_minutes: float = Field(
        5.0, gt=0, le=60, description="Minutes that a question of a guarded command stays open."
    )


GERMAN: Mapping[str, str] = MappingProxyType(
    {
        "abbrechen": "cancel",
        "anhalten": "cancel",
        "auftrag": "job",
        "aufträge": "jobs",
        "daten": "data",
        "datenpools": "pools",
        "datensätze": "records",
        "felder": "fields",
        "filter": "filters",
        "hilfe": "help",
        "kennzahl": "kpi",
        "kennzahlen": "kpis",
        "kontingent": "quota",
        "modell": "model",
        "modelle": "models",
        "stopp": "cancel",
        "stoppe": "cancel",
    }
)
"""Command words in German; `[aliases]` adds more, and an empty text takes one away."""


class SettingsFile(BaseSettings):
    """`celonis-chat.toml`. Secrets are never in it."""

    model_config = SettingsConfigDict(
        extra="forbid", frozen=True, env_prefix=PREFIX, env_nested_delimiter="__", title="celonis-chat.toml"
    )

    zone: str = Field("", description="Time zone for periods and clock times, such as `Europe/Berlin`.")
    locale: str = Field("en", description="How numbers and dates are written, such as `de` or `en_GB`.")
    replicas: int = Field(1, ge=1, description="How many copies of `serve` run at once.")
    allowed_hosts: Texts = Field(
        (), description="Hosts outside `celonis.cloud` that stand for a team, such as a gateway of your own."
    )
    members_read: bool = Field(
        True,
        description="Whether full members of bound workspaces may read, privately, without a rule.",
    )
    hide_fields: tuple[Annotated[HiddenField, BeforeValidator(_hidden), _OrText()], ...] = Field(
        (), description="Fields that nobody ever sees or uses; a plain text is a pattern of the field."
    )
    limits: Limits = Field(default_factory=Limits, description="Limits of the Celonis team.")
    connections: dict[str, ConnectionSection] = Field(
        default_factory=dict, description="Connections by name."
    )
    bindings: tuple[Binding, ...] = Field(
        (), description="Which connections exist where; a place without one gets nothing."
    )
    policy: tuple[Rule, ...] = Field((), description="Who may do what, on what.")
    aliases: dict[str, str] = Field(
        default_factory=dict,
        description="Further words for commands: word to command; German ones are there.",
    )
    synonyms: dict[str, Synonyms] = Field(
        default_factory=dict, description='Further names, by connection; "*" is every connection.'
    )
    audit: Audit = Field(default_factory=Audit, description="The log.")
    admin: Admin = Field(default_factory=Admin, description="Who runs the bot.")
    server: Server = Field(default_factory=Server, description="Where `serve` listens.")
    teams: TeamsSection = Field(default_factory=TeamsSection, description="Microsoft Teams.")
    chat: ChatLimits = Field(default_factory=ChatLimits, description="Bounds on what people may ask.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what `load` hands in: the program's own environment is never read behind the caller's back."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)


# --- the policy's words ----------------------------------------------------------------------------------------


def is_uuid(text: str) -> bool:
    """Whether a text is an id of Microsoft's."""
    return bool(_UUID.match(text))


def is_slack_team(text: str) -> bool:
    """Whether a text can be the id of a Slack workspace or organisation."""
    return bool(_SLACK_TEAM.match(text))


def person_fault(platform: str, entry: str) -> str:
    """What is wrong with a person as the settings name them; empty where nothing is."""
    home, _, user = entry.partition(":")
    if platform == "slack":
        if not _SLACK_TEAM.match(home) or not (user == "*" or _SLACK_USER.match(user)):
            return "must look like T1:U1, the user's own team and id (or T1:* for everybody of T1)"
    elif not _UUID.match(home) or not (user == "*" or _UUID.match(user)):
        return "must be tenant id:object id, two UUIDs (or tenant id:* for everybody of the tenant)"
    return ""


def place_fault(entry: str) -> str:
    """What is wrong with a place as the settings name it; empty where nothing is."""
    platform, home, name = [*entry.split(":", 2), "", ""][:3]
    fine = {
        "slack": bool(_SLACK_TEAM.match(home)) and (name == "*" or bool(_SLACK_PLACE.match(name))),
        "teams": bool(_UUID.match(home)) and bool(name),
        "local": bool(home) and bool(name),
    }
    if fine.get(platform):
        return ""
    return "must look like slack:T1:C1 or teams:tenant id:conversation id (or * in place of the last part)"


def rule_faults(rule: Rule) -> Iterator[str]:
    """What is wrong with a rule of the policy."""
    who, on = rule.who, rule.on
    persons = (who.slack, who.teams, who.email, who.groups, who.local)
    if not any(persons) and not who.places:
        yield 'who names nobody; to mean everybody of a workspace say slack = ["T1:*"]'
    for platform, entries in (("slack", who.slack), ("teams", who.teams)):
        for entry in entries:
            fault = person_fault(platform, entry)
            if fault:
                yield f"who.{platform} {fault}"
    for entry in who.groups:
        platform, home, group = [*entry.split(":", 2), "", ""][:3]
        if platform != "slack" or not _SLACK_TEAM.match(home) or not _SLACK_GROUP.match(group):
            yield "who.groups must look like slack:T1:S1; Teams has no groups that a bot may read"
    if not all(map(_EMAIL.match, who.email)):
        yield "who.email must be an address or *@example.com, with the domain written out"
    for entry in who.places:
        fault = place_fault(entry)
        if fault:
            yield f"who.places {fault}"
    jobs, data = bool(on.pool or on.job), bool(on.model or on.record or on.field or on.kpi or on.filter)
    if jobs and data:
        yield "on speaks of pools or jobs and of knowledge models; make two rules of it"
    if Right.PUBLIC in rule.may and (any(persons) or not who.places):
        yield "public is a right of places; name who.places and no persons (other rights go into another rule)"
    if {Right.MANAGE, Right.ADMIN} & set(rule.may) and on != On():
        yield "manage and admin cannot be narrowed by on; put them into a rule without it"
    if Right.CANCEL in rule.may and data:
        yield "cancel is about jobs; on must not speak of knowledge models"
