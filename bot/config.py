"""Settings: environment over `celonis-chat.toml` over defaults, and every problem reported at once.

The environment is handed in; only files (the toml, and files that hold secrets) are read here. Secrets come from the
environment or from files, never from the toml, and never show in a `repr`, a problem or a traceback.

`SettingsFile` is the toml as people write it; `load` turns it, with the environment, into `Settings`, which is what
the rest of the program sees: parsed, checked, frozen.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum, StrEnum
from functools import cache
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, NoReturn, TypeAlias, get_args, get_origin
from urllib.parse import urlsplit

from babel import Locale, UnknownLocaleError
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, WithJsonSchema
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from bot.chat import Person, Place, Visibility
from bot.errors import ConfigError

PREFIX = "CELONIS_CHAT_"
"""`CELONIS_CHAT_LIMITS__PER_DAY=3000` overrides `limits.per_day`; lists and tables are given as JSON."""

DEFAULT_CONNECTION = "default"
SANDBOX_CONNECTION = "sandbox"
CELONIS_DOMAIN = ".celonis.cloud"
SLACK_API_URL = "https://slack.com/api/"
DEFAULT_DATABASE = "sqlite+aiosqlite:///celonis-chat.db"
DEFAULT_OAUTH_SCOPE = "intelligence.knowledge-models:read integration.data-pools"
SHORTEST_SECRET_KEY = 32

# --- secrets ---------------------------------------------------------------------------------------------------

MASK = "********"
_SHORTEST_WITH_TAIL = 16


class Secret:
    """Something that nobody may read by accident: `repr`, `str` and formatting show a mask.

    Attributes:
        name: The environment variable or setting it came from; safe to show.
    """

    __slots__ = ("_file", "_value", "name")

    def __init__(self, value: str, *, name: str = "secret", file: Path | None = None) -> None:
        self.name = name
        self._value = value
        self._file = file

    def reveal(self) -> str:
        """The value itself; for the one place that sends or uses it."""
        return self._value

    def read_again(self) -> Secret:
        """The secret as its file holds it now (keys get rotated underneath a running program).

        Returns:
            A new secret; this one where it came from the environment, or where the file cannot be read or is
            empty for the moment.
        """
        if self._file is None:
            return self
        try:
            value = self._file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            return self
        return Secret(value, name=self.name, file=self._file) if value else self

    @property
    def tail(self) -> str:
        """The last four characters behind dots, to tell keys apart; only dots for a short secret."""
        return f"…{self._value[-4:]}" if len(self._value) >= _SHORTEST_WITH_TAIL else "…"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        return f"Secret({self.name}: {MASK})"

    def __str__(self) -> str:
        return MASK

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is neither copied nor pickled")


def _secret_fault(value: str, *, blanks: bool = False) -> str:
    """What is wrong with a secret's text, without any of it; empty where it can be used."""
    if not value:
        return "is empty"
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
        return "stands in quotation marks; remove them, they would be sent as part of it"
    if any(not " " <= each <= "~" for each in value):
        return "holds a line break, an invisible character or a character outside ASCII; copy it again"
    if " " in value and not blanks:
        return "holds a blank; give the key alone, without a word such as Bearer or AppKey before it"
    return ""


# --- addresses -------------------------------------------------------------------------------------------------

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\Z")
_CLUSTER = re.compile(r"(?:[a-z]{2}-\d+|training|try)\Z")
_NO_TEAM = frozenset({"www", "docs", "developer", "login", "community", "academy", "status"})
_LONGEST_HOST = 253
_HTTPS_PORT = 443
_ADDRESS_EXAMPLE = "https://<team>.<cluster>.celonis.cloud"


def is_loopback(host: str) -> bool:
    """Whether a host name or address can only be this machine."""
    if host.casefold() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _refuse(sentence: str) -> NoReturn:
    raise ConfigError((sentence,))


def team_root(text: str, *, allowed_hosts: Sequence[str] = (), allow_loopback: bool = False) -> str:
    """The root address of a Celonis team, from any address that a person copied out of a browser.

    Teams live at `https://<team>.<cluster>.celonis.cloud` (developer.celonis.com, "Getting started"; the same host
    stands in the certified Power Platform connector).

    Args:
        text: An address, with or without scheme, path, query and fragment; upper case and a dot at the end are fine.
        allowed_hosts: Further hosts (`gateway.example.com`, `*.example.com`, either with `:port`).
        allow_loopback: Whether this machine, over http too, may stand in for a team.

    Returns:
        `https://host`, lower case, without a slash at the end.

    Raises:
        ConfigError: One sentence that says why the address is refused and what to give instead.
    """
    given = _one_address(text)
    try:
        parts = urlsplit(given)
        port = parts.port
    except ValueError:
        _refuse(f"The Celonis address cannot be read; it looks like {_ADDRESS_EXAMPLE}.")
    if "@" in parts.netloc:
        _refuse(
            "The Celonis address holds a user name or password before an @; give the address without them."
        )
    host = (parts.hostname or "").removesuffix(".")
    loopback = is_loopback(host)
    if loopback and allow_loopback and parts.scheme in ("http", "https"):
        shown = f"[{host}]" if ":" in host else host
        return f"{parts.scheme}://{shown}" + (f":{port}" if port else "")
    if parts.scheme != "https":
        _refuse("The Celonis address must begin with https://, since the key travels with every request.")
    if len(host) > _LONGEST_HOST or not all(map(_LABEL.match, host.split("."))):
        _refuse(f"The Celonis address has no valid host name; it looks like {_ADDRESS_EXAMPLE}.")
    if any(label.startswith("xn--") for label in host.split(".")):
        _refuse(
            "The Celonis address is an internationalised one (xn--), and no team has such; type it by hand."
        )
    if any(_host_matches(host, port, each) for each in allowed_hosts):
        return f"https://{host}" + (f":{port}" if port not in (None, _HTTPS_PORT) else "")
    if loopback:
        _refuse(
            "The Celonis address is this machine; only a sandbox may stand there (use --sandbox or demo)."
        )
    _check_team_host(host, port)
    return f"https://{host}"


def _one_address(text: str) -> str:
    given = text.strip()
    if not given:
        _refuse(f"The Celonis address is empty; copy it from the browser ({_ADDRESS_EXAMPLE}).")
    if "\\" in given or any(each.isspace() or not each.isprintable() for each in given):
        _refuse("The Celonis address holds a blank, a backslash or an invisible character; copy it again.")
    if not _authority(given).isascii():
        _refuse(
            "The Celonis address holds letters that only look like Latin ones; type the team's address by hand."
        )
    return given if _SCHEME.match(given) else "https://" + given.lstrip("/")


def _check_team_host(host: str, port: int | None) -> None:
    if not host.endswith(CELONIS_DOMAIN):
        _refuse(
            f"The host {host} is not under celonis.cloud; if a gateway of your own stands there, add it to "
            "allowed_hosts."
        )
    if port not in (None, _HTTPS_PORT):
        _refuse(f"Celonis answers on port 443 only; remove :{port} from the address.")
    team = host.removesuffix(CELONIS_DOMAIN)
    if _CLUSTER.match(team):
        _refuse(f"{host} names the cluster, not the team; the address looks like {_ADDRESS_EXAMPLE}.")
    if team in _NO_TEAM:
        _refuse(f"{host} is not a team's; open Celonis in the browser and copy the address from there.")


def _authority(text: str) -> str:
    """The part of an address that names the host (with user and port), as written."""
    rest = _SCHEME.sub("", text, count=1).lstrip("/")
    return re.split(r"[/?#]", rest, maxsplit=1)[0]


def _host_matches(host: str, port: int | None, allowed: str) -> bool:
    name, _, number = allowed.casefold().partition(":")
    if (port or _HTTPS_PORT) != int(number or _HTTPS_PORT):
        return False
    return host.endswith(name[1:]) if name.startswith("*.") else host == name


# --- the toml --------------------------------------------------------------------------------------------------


class Right(StrEnum):
    """What a rule of the policy can grant. None of them implies another."""

    READ = "read"
    PUBLIC = "public"
    EXPORT = "export"
    RUN = "run"
    RUN_FULL = "run full"
    CANCEL = "cancel"
    MANAGE = "manage"
    ADMIN = "admin"


class KeyType(StrEnum):
    """The kinds of API key; `BEARER` in the settings means `USER_KEY`, as in PyCelonis."""

    APP_KEY = "APP_KEY"
    USER_KEY = "USER_KEY"


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _key_type(value: object) -> object:
    if not isinstance(value, str):
        return value
    folded = value.strip().upper().replace("-", "_").replace(" ", "_")
    return {"BEARER": "USER_KEY", "APPKEY": "APP_KEY", "USERKEY": "USER_KEY", "": None}.get(folded, folded)


def _hidden(value: object) -> object:
    return {"field": value} if isinstance(value, str) else value


Texts: TypeAlias = Annotated[
    tuple[str, ...],
    BeforeValidator(_listed),
    WithJsonSchema(
        {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}], "default": []}
    ),
]
"""One text or a list of texts."""


class Section(BaseModel):
    """One table of the toml: frozen, and keys that it does not know are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Limits(Section):
    """What the Celonis team allows, and how the bot shares it."""

    per_second: int = Field(20, ge=1, le=1000, description="Requests in any one window, over all replicas.")
    window_seconds: float = Field(1.0, gt=0, le=3600, description="Length of that window in seconds.")
    per_day: int = Field(6000, ge=1, description="Requests a day.")
    fields: int = Field(200, ge=1, description="Fields in one request.")
    page: int = Field(50, ge=1, description="Records in one request.")
    rows: int = Field(1000, ge=1, description="Records of one table that can be reached at all.")
    background_reserve: float = Field(
        0.20, ge=0, lt=1, description="Share of the day below which watches and other background work stop."
    )
    people_reserve: float = Field(
        0.05, ge=0, lt=1, description="Share of the day below which only confirmed actions are sent."
    )
    person_share: float = Field(0.10, gt=0, le=1, description="Share of the day that one person may spend.")
    place_share: float = Field(0.25, gt=0, le=1, description="Share of the day that one place may spend.")


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
    key_type: Annotated[KeyType | None, BeforeValidator(_key_type)] = Field(
        None, description="`APP_KEY` or `USER_KEY` (also `BEARER`); found out when not given."
    )
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
        None, description="Limits of this team where they differ; what is left out stays as in `[limits]`."
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
    may: Annotated[tuple[Right, ...], BeforeValidator(_listed)] = Field(
        min_length=1, description="The rights that it grants; none implies another."
    )
    on: On = Field(default_factory=On, description="On what; nothing said means on everything.")


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


class Duty(Section):
    """Who is mentioned when a guard asks and nobody else is named."""

    slack: Texts = Field((), description="`T1:U1`.")
    teams: Texts = Field((), description="`tenant:object id`.")


class Admin(Section):
    """Where the bot turns to when only its admin can help."""

    place: str = Field(
        "",
        description="Place that gets errors and what could not be delivered: `slack:T1:C1` or `teams:tenant:conversation`.",
    )
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
    development: bool = Field(
        False,
        description="Accept Teams messages without a signature, for the local Agents Playground; loopback only.",
    )


class ChatLimits(Section):
    """Bounds on what people may ask of the bot itself."""

    text_length: int = Field(4000, ge=100, le=40_000, description="Longest sentence, in characters.")
    per_minute: int = Field(30, ge=1, description="Sentences and clicks of one person in a minute.")
    question_minutes: float = Field(
        5.0, gt=0, le=60, description="Minutes that a question of a guarded command stays open."
    )
    watches_per_person: int = Field(20, ge=0, description="Watches and guards that one person may have.")


GERMAN: Mapping[str, str] = MappingProxyType(
    {
        "abbrechen": "cancel",
        "anhalten": "cancel",
        "auftrag": "job",
        "aufträge": "jobs",
        "daten": "data",
        "datenmodelle": "data models",
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
        "starte": "run",
        "starten": "run",
        "stopp": "cancel",
        "stoppe": "cancel",
        "suche": "find",
        "verlauf": "history",
        "warum": "why",
    }
)
"""Command words in German; `[aliases]` adds more, and an empty text takes one away."""


class SettingsFile(BaseSettings):
    """`celonis-chat.toml`. Secrets are never in it."""

    model_config = SettingsConfigDict(
        extra="forbid", frozen=True, env_prefix=PREFIX, env_nested_delimiter="__", title="celonis-chat.toml"
    )

    zone: str = Field(
        "", description="Time zone for periods, guards and clock times, such as `Europe/Berlin`."
    )
    locale: str = Field("en", description="How numbers and dates are written, such as `de` or `en_GB`.")
    replicas: int = Field(1, ge=1, description="How many copies of `serve` run at once.")
    allowed_hosts: Texts = Field(
        (), description="Hosts outside `celonis.cloud` that stand for a team, such as a gateway of your own."
    )
    members_read: bool = Field(
        True,
        description="Whether full members of bound workspaces may read, privately, without a rule.",
    )
    hide_fields: tuple[Annotated[HiddenField, BeforeValidator(_hidden)], ...] = Field(
        (), description="Fields that nobody ever sees or uses; a plain text is a pattern of the field."
    )
    heartbeat_url: str = Field(
        "",
        repr=False,
        description="Called every minute while all is well, for monitoring from outside.",
    )
    connections: dict[str, ConnectionSection] = Field(
        default_factory=dict, description="Connections by name."
    )
    limits: Limits = Field(default_factory=Limits, description="Limits of the Celonis team.")
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
    duty: Duty = Field(default_factory=Duty, description="Who is on duty.")
    admin: Admin = Field(default_factory=Admin, description="Who runs the bot.")
    server: Server = Field(default_factory=Server, description="Where `serve` listens.")
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


class _Given(EnvSettingsSource):
    """The environment that was handed in, read by the rules of pydantic-settings."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        super().__init__(SettingsFile)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return {name.lower(): value for name, value in self._environ.items() if value}


# --- what the program sees -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OAuthClient:
    """An OAuth 2 client for the client credentials grant."""

    id: Secret
    secret: Secret
    scope: str


@dataclass(frozen=True, slots=True)
class Connection:
    """One Celonis team and one identity there; exactly one of `api_token` and `oauth` is set.

    Attributes:
        name: What settings, bindings and stored rows call it.
        title: What cards call it.
        root: `https://team.cluster.celonis.cloud`, without a slash at the end.
        key_type: None means: find out.
        timeout: Seconds.
        backoff_factor: Seconds.
        data_models: Knowledge model id to the data model behind it.
        sandbox: Whether a sandbox stands in for the team.
    """

    name: str
    title: str
    root: str
    api_token: Secret | None = None
    oauth: OAuthClient | None = None
    key_type: KeyType | None = None
    timeout: float = 30.0
    total_retry: int = 2
    backoff_factor: float = 1.0
    connect: bool = True
    permissions: bool = True
    read_only: bool = False
    limits: Limits = field(default_factory=Limits)
    data_models: Mapping[str, DataModel] = field(default_factory=dict)
    sandbox: bool = False


@dataclass(frozen=True, slots=True)
class Slack:
    """How to reach Slack. With an app token it is Socket Mode, else HTTP with the signing secret."""

    bot_token: Secret
    signing_secret: Secret | None = None
    app_token: Secret | None = None
    api_url: str = SLACK_API_URL


@dataclass(frozen=True, slots=True)
class Teams:
    """How to reach Teams. Without an app id (development only) messages carry no signature."""

    app_id: str
    tenant_id: str
    password: Secret | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that is configured.

    Attributes:
        connections: By name; the order is that of the settings.
        zone: IANA time zone, empty where none is set (never in `serve`).
        policy: The rules, in order.
        aliases: Folded word to command words.
        synonyms: By connection name, with those for "*" mixed in.
        duty: Who is mentioned when a guard asks.
        admin_place: Where an admin's errors go, None where that is not set.
        admin_contact: Who can change the policy, in words; may be empty.
        secret_key: For the audit chain and encryption; None only outside `serve`.
        database_url: For SQLAlchemy, with an async driver.
        sandbox: Whether a sandbox stands in for Celonis; every answer then says so.
        remarks: Things that are not wrong but look unintended, for `celonis-chat check`.
    """

    connections: Mapping[str, Connection]
    database_url: Secret
    bindings: tuple[Binding, ...] = ()
    limits: Limits = field(default_factory=Limits)
    replicas: int = 1
    zone: str = ""
    locale: str = "en"
    members_read: bool = True
    policy: tuple[Rule, ...] = ()
    hide_fields: tuple[HiddenField, ...] = ()
    aliases: Mapping[str, str] = field(default_factory=lambda: GERMAN)
    synonyms: Mapping[str, Synonyms] = field(default_factory=dict)
    audit: Audit = field(default_factory=Audit)
    duty: tuple[Person, ...] = ()
    admin_place: Place | None = None
    admin_contact: str = ""
    heartbeat_url: str = field(default="", repr=False)
    server: Server = field(default_factory=Server)
    chat: ChatLimits = field(default_factory=ChatLimits)
    slack: Slack | None = None
    teams: Teams | None = None
    secret_key: Secret | None = None
    sandbox: bool = False
    remarks: tuple[str, ...] = ()

    @classmethod
    def for_demo(
        cls,
        url: str,
        api_token: str,
        *,
        zone: str,
        secret_key: str,
        database_url: str = DEFAULT_DATABASE,
        locale: str = "en",
        data_models: Mapping[str, DataModel] | None = None,
    ) -> Settings:
        """Settings for an embedded sandbox; nothing comes from the environment or a file.

        Args:
            url: Where the sandbox listens; this machine only.
            api_token: One of the sandbox's keys.
            zone: IANA time zone of the person in front of the screen.
            secret_key: Random, for the audit chain and encryption.
            database_url: For SQLAlchemy, with an async driver.
            locale: For numbers and dates.
            data_models: Knowledge model id to the data model behind it.

        Returns:
            One connection, bound to the terminal, whose person may read, cancel and run.

        Raises:
            ConfigError: The address is not on this machine.
        """
        bare = cls(
            connections={},
            database_url=Secret(database_url, name="DATABASE_URL"),
            zone=zone,
            locale=locale,
            secret_key=Secret(secret_key, name="CELONIS_CHAT_SECRET_KEY"),
        )
        return bare.over_sandbox(url, api_token, data_models=data_models)

    def over_sandbox(
        self, url: str, api_token: str, *, data_models: Mapping[str, DataModel] | None = None
    ) -> Settings:
        """These settings with an embedded sandbox in place of every Celonis team.

        Every binding then leads to the sandbox, and the person at the terminal may also read, cancel and run.

        Raises:
            ConfigError: The address is not on this machine.
        """
        root = team_root(url, allow_loopback=True)
        if not is_loopback(urlsplit(root).hostname or ""):
            _refuse("An embedded sandbox listens on this machine only.")
        connection = Connection(
            name=SANDBOX_CONNECTION,
            title="Sandbox",
            root=root,
            api_token=Secret(api_token, name="sandbox key"),
            limits=self.limits,
            data_models=MappingProxyType(dict(data_models or {})),
            sandbox=True,
        )
        bindings = [
            each.model_copy(update={"connections": (SANDBOX_CONNECTION,)})
            for each in self.bindings
            if each.platform != "local"
        ]
        here = Binding(local=True, connections=(SANDBOX_CONNECTION,))
        grant = Rule(
            name="whoever sits at the sandbox",
            who=Who(local=("*",)),
            may=(Right.READ, Right.CANCEL, Right.RUN),
            on=On(connection=(SANDBOX_CONNECTION,)),
        )
        return replace(
            self,
            connections=MappingProxyType({SANDBOX_CONNECTION: connection}),
            bindings=(*bindings, here),
            policy=(*self.policy, grant),
            sandbox=True,
        )


class Need(IntEnum):
    """How much a command needs configured; each level includes the ones before it."""

    NOTHING = 0
    CONNECTION = 1
    SERVING = 2


def load(environ: Mapping[str, str], toml: Path | None, *, need: Need = Need.CONNECTION) -> Settings:
    """Read the settings.

    Args:
        environ: The environment; an empty value counts as not set.
        toml: The settings file, None where there is none.
        need: What must be there, beyond being right where it is there.

    Returns:
        Checked settings.

    Raises:
        ConfigError: With every problem that was found; none of them holds a secret's value.
    """
    return _Draft({name: value for name, value in environ.items() if value.strip()}, toml).finish(need)


_SECRET_KEYS = frozenset(
    {
        *("api_key", "api_token", "app_key", "app_password", "app_token", "application_key", "bearer"),
        *("bot_token", "client_id", "client_secret", "key", "oauth_client_id", "oauth_client_secret"),
        *("password", "secret", "secret_key", "signing_secret", "token", "user_key"),
        *("celonis_api_token", "celonis_chat_secret_key", "celonis_oauth_client_id"),
        *("celonis_oauth_client_secret", "database_url", "microsoft_app_password"),
        *("slack_app_token", "slack_bot_token", "slack_signing_secret"),
    }
)
_LOOKS_SECRET = re.compile(
    r"xox[a-z]-|xapp-|-----BEGIN|\b(?:AppKey|Bearer)\s+\S{16}"
    r"|\A[A-Za-z0-9+/_-]{60,}={0,2}\Z|://[^/\s:@]+:[^/\s@]+@"
)
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]{0,63}\Z")
_CONNECTION_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}\Z")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z", re.IGNORECASE)
_SLACK_TEAM = re.compile(r"[TE][A-Z0-9]+\Z")
_SLACK_USER = re.compile(r"[UW][A-Z0-9]+\Z")
_SLACK_GROUP = re.compile(r"S[A-Z0-9]+\Z")
_SLACK_PLACE = re.compile(r"[CGD][A-Z0-9]+\Z")
_ALLOWED_HOST = re.compile(
    r"(?:\*\.)?[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?\.[a-z0-9-]+(?::\d{1,5})?\Z", re.IGNORECASE
)
_EMAIL = re.compile(r"[^@\s]+@[^@\s*?]+\.[^@\s*?]+\Z")
_DRIVERS = {
    "postgres": "postgresql+asyncpg",
    "postgresql": "postgresql+asyncpg",
    "sqlite": "sqlite+aiosqlite",
    "postgresql+asyncpg": "postgresql+asyncpg",
    "sqlite+aiosqlite": "sqlite+aiosqlite",
}
_CLOSE = 0.6


@cache
def _zones() -> frozenset[str]:
    return frozenset((files("tzdata") / "zones").read_text(encoding="utf-8").split())


def _meant(word: str, known: Iterable[str], otherwise: str = ".") -> str:
    """The end of a sentence: a question after the nearest known word, or `otherwise` where none is near."""
    folded = {each.casefold(): each for each in known}
    near = difflib.get_close_matches(word.casefold(), folded, n=1, cutoff=_CLOSE)
    return f"; did you mean {folded[near[0]]}?" if near else otherwise


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(below)
    for key, value in above.items():
        old = result.get(key)
        result[key] = _merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return result


def _spelt(loc: Sequence[int | str]) -> str:
    """A setting's name as one would look for it in the file: `policy[2].who.slack`, counted from 1."""
    said = ""
    for part in loc:
        said += f"[{part + 1}]" if isinstance(part, int) else f".{part}" if said else part
    return said


def _known_keys(loc: Sequence[int | str]) -> Iterable[str]:
    """The keys that a table at this place of the file may have."""
    here: Any = SettingsFile
    for part in loc:
        if isinstance(here, type) and issubclass(here, BaseModel):
            here = here.model_fields[str(part)].annotation if part in here.model_fields else None
        else:
            here = next((each for each in get_args(here)[::-1] if each is not Ellipsis), None)
        while get_origin(here) is Annotated or (here is not None and type(None) in get_args(here)):
            here = next(each for each in get_args(here) if each is not type(None))
    return here.model_fields if isinstance(here, type) and issubclass(here, BaseModel) else ()


class _Draft:
    """Settings on their way; collects problems instead of stopping at the first."""

    def __init__(self, environ: Mapping[str, str], toml: Path | None) -> None:
        self.environ = environ
        self.folder = toml.parent if toml else Path()
        self.problems: list[str] = []
        self.remarks: list[str] = []
        raw = self._without_secrets(self._read(toml) if toml else {}, ())
        self.declared = (
            frozenset(raw["connections"]) if isinstance(raw.get("connections"), dict) else frozenset()
        )
        self.given = self._given()
        self.file = self._validated(_merged(raw, self.given))

    def say(self, problem: str) -> None:
        if problem not in self.problems:
            self.problems.append(problem)

    # reading

    def _read(self, toml: Path) -> dict[str, Any]:
        try:
            return tomllib.loads(toml.read_text(encoding="utf-8-sig"))
        except OSError as error:
            self.say(f"{toml.name} cannot be read ({error.strerror or type(error).__name__}).")
        except UnicodeDecodeError:
            self.say(f"{toml.name} is not UTF-8 text; save it as UTF-8.")
        except tomllib.TOMLDecodeError as error:
            where = re.search(r"\(at [^()]*\)\Z", str(error))
            self.say(f"{toml.name} is not valid TOML {where.group() if where else ''}".rstrip() + ".")
        return {}

    def _without_secrets(self, value: Any, loc: tuple[int | str, ...]) -> Any:
        """The tables without anything secret, which is reported by its name alone."""
        if isinstance(value, dict):
            return {
                key: self._without_secrets(each, (*loc, key))
                for key, each in value.items()
                if not self._secret_here((*loc, key), each)
            }
        if isinstance(value, list):
            return [
                self._without_secrets(each, (*loc, place))
                for place, each in enumerate(value)
                if not self._secret_here((*loc, place), each)
            ]
        return value

    def _secret_here(self, loc: tuple[int | str, ...], value: Any) -> bool:
        if not isinstance(value, str):
            return False
        key = str(loc[-1])
        named = key.casefold() in _SECRET_KEYS and "aliases" not in loc and "synonyms" not in loc
        if not named and not _LOOKS_SECRET.search(value):
            return False
        advice = "take it out (and replace it at its source, since it was written down)"
        if loc[0] == "connections" and f"{key}_env" in ConnectionSection.model_fields:
            advice += f"; name the environment variable that holds it in {key}_env, or the file in {key}_file"
        elif named:
            advice += "; give it by environment variable or file"
        self.say(f"{_spelt(loc)} holds a secret, and secrets do not belong in the toml: {advice}.")
        return True

    def _given(self) -> dict[str, Any]:
        source = _Given(self.environ)
        found: dict[str, Any] = {}
        for name, about in SettingsFile.model_fields.items():
            value, key, nested = source.get_field_value(about, name)
            try:
                value = source.prepare_field_value(name, about, value, nested)
            except ValueError:
                self.say(
                    f"{PREFIX}{name.upper()} is not valid JSON; lists and tables are given as JSON there."
                )
                continue
            if value is not None:
                found[key] = value
        return found

    def _validated(self, merged: dict[str, Any]) -> SettingsFile:
        """The file as far as it is right; every part that is not is reported and left out."""
        first = True
        while True:
            try:
                return SettingsFile(**merged)
            except ValidationError as error:
                for each in error.errors(include_url=False, include_input=False):
                    if first:
                        self.say(self._explained(each["loc"], each["type"], each["msg"], each.get("ctx", {})))
                    merged = _pruned(merged, each["loc"], whole=each["type"] == "missing")
                first = False

    def _explained(self, loc: tuple[int | str, ...], kind: str, message: str, ctx: Mapping[str, Any]) -> str:
        name = self._named(loc)
        match kind:
            case "extra_forbidden":
                return f"{name} is not a setting{_meant(str(loc[-1]), _known_keys(loc[:-1]))}"
            case "missing":
                return f"{name} is missing."
            case "enum":
                return f"{name} must be one of {ctx['expected']}."
            case "greater_than" | "greater_than_equal" | "less_than" | "less_than_equal":
                sign, bound = next(iter(ctx.items()))
                words = {"gt": "more than", "ge": "at least", "lt": "less than", "le": "at most"}
                return f"{name} must be {words[sign]} {bound}."
            case "int_parsing" | "int_type" | "int_from_float":
                return f"{name} must be a whole number."
            case "float_parsing" | "float_type":
                return f"{name} must be a number."
            case "bool_parsing" | "bool_type":
                return f"{name} must be true or false."
            case "string_type":
                return f"{name} must be a text in quotation marks."
            case "tuple_type" | "list_type":
                return f"{name} must be a list."
            case "dict_type" | "model_type":
                return f"{name} must be a table."
            case "too_short" | "string_too_short":
                return f"{name} must not be empty."
            case _:
                return f"{name}: {message[:1].lower()}{message[1:]}."

    def _named(self, loc: tuple[int | str, ...]) -> str:
        """The setting's name, as the environment variable where it comes from there."""
        here: Any = self.given
        for depth, part in enumerate(loc):
            if not isinstance(here, dict) or part not in here:
                if depth and not isinstance(here, dict):
                    return f"{_spelt(loc)} (from the environment)"
                return _spelt(loc)
            here = here[part]
        return PREFIX + "__".join(str(part).upper() for part in loc)

    # secrets

    def secret(self, variable: str, *, blanks: bool = False) -> Secret | None:
        """A secret from a variable, or from the file that the variable with `_FILE` names."""
        value, file = self.environ.get(variable), self.environ.get(f"{variable}_FILE")
        if value and file:
            self.say(f"{variable} and {variable}_FILE are both set; keep one of them.")
            return None
        if file:
            return self.secret_file(f"{variable}_FILE", variable, Path(file), blanks=blanks)
        if not value:
            return None
        fault = _secret_fault(value.strip(), blanks=blanks)
        if fault:
            self.say(f"{variable} {fault}.")
            return None
        return Secret(value.strip(), name=variable)

    def secret_file(self, setting: str, name: str, file: Path, *, blanks: bool = False) -> Secret | None:
        try:
            value = file.read_text(encoding="utf-8").strip()
        except OSError as error:
            self.say(
                f"{setting} names a file that cannot be read ({error.strerror or type(error).__name__})."
            )
            return None
        except UnicodeDecodeError:
            self.say(f"{setting} names a file that is not text.")
            return None
        fault = _secret_fault(value, blanks=blanks)
        if fault:
            self.say(f"The file that {setting} names {fault}.")
            return None
        return Secret(value, name=name, file=file)

    def _referenced(self, where: str, key: str, section: ConnectionSection) -> Secret | None:
        variable, file = getattr(section, f"{key}_env"), getattr(section, f"{key}_file")
        if variable and file:
            self.say(f"{where} has both {key}_env and {key}_file; keep one of them.")
            return None
        if file:
            return self.secret_file(f"{where}.{key}_file", f"{where}.{key}", self.folder / file)
        if not variable:
            return None
        if not _VARIABLE.match(variable):
            self.say(
                f"{where}.{key}_env must be the name of an environment variable (capitals, digits, _), not the secret."
            )
            return None
        before = len(self.problems)
        found = self.secret(variable)
        if found is None and len(self.problems) == before:
            self.say(f"{where}.{key}_env names {variable}, which is not set.")
        return found

    # connections

    def connections(self) -> dict[str, Connection]:
        sections = dict(self.file.connections)
        address = {
            key: self.environ.get(variable, "").strip()
            for key, variable in (
                ("url", "CELONIS_URL"),
                ("team", "CELONIS_TEAM"),
                ("cluster", "CELONIS_CLUSTER"),
            )
        }
        overrides: dict[str, Any] = {}
        if address["url"]:
            overrides = {"url": address["url"], "team": "", "cluster": ""}
            if address["team"] or address["cluster"]:
                self.say(
                    "CELONIS_URL is set beside CELONIS_TEAM or CELONIS_CLUSTER; keep the one or the others."
                )
        elif address["team"] or address["cluster"]:
            overrides = {"url": "", "team": address["team"], "cluster": address["cluster"]}
        if DEFAULT_CONNECTION in sections or overrides:
            sections[DEFAULT_CONNECTION] = self._from_environment(
                sections.get(DEFAULT_CONNECTION, ConnectionSection()), overrides
            )
        found = [self._connection(name, section) for name, section in sections.items()]
        result = {each.name: each for each in found if each is not None}
        self._told_apart(result.values())
        return result

    def _from_environment(self, section: ConnectionSection, address: dict[str, Any]) -> ConnectionSection:
        update = dict(address)
        given = self.environ.get("CELONIS_KEY_TYPE", "").strip()
        if given:
            folded = _key_type(given)
            if folded in tuple(KeyType):
                update["key_type"] = KeyType(str(folded))
            elif folded is not None:
                self.say("CELONIS_KEY_TYPE must be APP_KEY or USER_KEY (also BEARER), or empty to find out.")
        scope = self.environ.get("CELONIS_OAUTH_SCOPE", "").strip()
        if scope:
            update["oauth_scope"] = scope
        for key in ("api_token", "oauth_client_id", "oauth_client_secret"):
            variable = f"CELONIS_{key.upper()}"
            if self.environ.get(variable) or self.environ.get(f"{variable}_FILE"):
                update |= {f"{key}_env": variable, f"{key}_file": ""}
        return section.model_copy(update=update)

    def _connection(self, name: str, section: ConnectionSection) -> Connection | None:
        where = f"connections.{name}"
        if not _CONNECTION_NAME.match(name):
            self.say(f"{where}: a connection's name has small letters, digits, - and _ only, at most 40.")
        root = self._root(where, section)
        token = self._referenced(where, "api_token", section)
        client = self._referenced(where, "oauth_client_id", section)
        client_secret = self._referenced(where, "oauth_client_secret", section)
        wants_token = bool(section.api_token_env or section.api_token_file)
        wants_id = bool(section.oauth_client_id_env or section.oauth_client_id_file)
        wants_secret = bool(section.oauth_client_secret_env or section.oauth_client_secret_file)
        variables = name == DEFAULT_CONNECTION
        if wants_token and (wants_id or wants_secret):
            self.say(f"{where} has an API key and an OAuth client; keep one of them.")
        elif wants_id != wants_secret:
            absent = "oauth_client_secret" if wants_id else "oauth_client_id"
            said = f"CELONIS_{absent.upper()}" if variables else f"{where}.{absent}_env"
            self.say(f"{said} is missing; an OAuth client needs its id and its secret.")
        elif not wants_token and not wants_id:
            if variables:
                self.say(
                    "CELONIS_API_TOKEN is missing (or CELONIS_API_TOKEN_FILE, or CELONIS_OAUTH_CLIENT_ID and "
                    "CELONIS_OAUTH_CLIENT_SECRET): without one of them Celonis answers nobody."
                )
            else:
                variable = f"CELONIS_API_TOKEN_{name.upper().replace('-', '_')}"
                self.say(f'{where} names no key; add api_token_env = "{variable}" and set that variable.')
        if not root:
            return None
        oauth = OAuthClient(client, client_secret, section.oauth_scope) if client and client_secret else None
        limits = self.file.limits
        if section.limits is not None:
            own = {key: getattr(section.limits, key) for key in section.limits.model_fields_set}
            limits = limits.model_copy(update=own)
        team = (urlsplit(root).hostname or "").split(".", 1)[0]
        return Connection(
            name=name,
            title=section.title or (team if variables else name),
            root=root,
            api_token=None if oauth else token,
            oauth=oauth,
            key_type=section.key_type,
            timeout=section.timeout,
            total_retry=section.total_retry,
            backoff_factor=section.backoff_factor,
            connect=section.connect,
            permissions=section.permissions,
            read_only=section.read_only,
            limits=limits,
            data_models=MappingProxyType(dict(section.data_models)),
        )

    def _root(self, where: str, section: ConnectionSection) -> str:
        if section.url and (section.team or section.cluster):
            self.say(f"{where} has a url and a team or cluster; keep the one or the others.")
            return ""
        if not section.url and not (section.team and section.cluster):
            half = "cluster" if section.team else "team" if section.cluster else ""
            said = f"{where} has no {half}" if half else f"{where} has no address"
            self.say(f"{said}; give url (CELONIS_URL), or team and cluster (CELONIS_TEAM, CELONIS_CLUSTER).")
            return ""
        address = section.url
        if not address:
            team, cluster = section.team.strip().casefold(), section.cluster.strip().casefold()
            if not _LABEL.match(team) or not _LABEL.match(cluster):
                self.say(
                    f"{where}: team and cluster are the first two parts of the address; give the whole address as url."
                )
                return ""
            address = f"https://{team}.{cluster}{CELONIS_DOMAIN}"
        try:
            return team_root(address, allowed_hosts=[*filter(_ALLOWED_HOST.match, self.file.allowed_hosts)])
        except ConfigError as error:
            self.say(f"{where}: {error.problems[0]}")
            return ""

    def _told_apart(self, connections: Iterable[Connection]) -> None:
        names: dict[str, str] = {}
        limits: dict[str, Connection] = {}
        for each in connections:
            for word in {each.name.casefold(), each.title.casefold()}:
                if word in names:
                    self.say(
                        f"connections.{each.name} and connections.{names[word]} are both called {word}; give a title."
                    )
                names[word] = each.name
            other = limits.setdefault(each.root, each)
            if other.limits != each.limits:
                self.say(
                    f"connections.{other.name} and connections.{each.name} reach the same team, which has one quota, "
                    "but have different limits; give both the same."
                )

    # the end

    def finish(self, need: Need) -> Settings:
        connections = self.connections()
        settings = Settings(
            connections=MappingProxyType(connections),
            database_url=self._database(),
            bindings=self._bindings(),
            limits=self.file.limits,
            replicas=self.file.replicas,
            zone=self.file.zone,
            locale=self.file.locale,
            members_read=self.file.members_read,
            policy=self.file.policy,
            hide_fields=self.file.hide_fields,
            aliases=self._aliases(),
            synonyms=MappingProxyType(self._synonyms(connections)),
            audit=self.file.audit,
            duty=self._duty(),
            admin_place=self._admin_place(),
            admin_contact=self.file.admin.contact,
            heartbeat_url=self.file.heartbeat_url,
            server=self.file.server,
            chat=self.file.chat,
            slack=self._slack(),
            teams=self._teams(),
            secret_key=self._secret_key(),
        )
        self._check_file()
        self._check_need(settings, need)
        if self.problems:
            raise ConfigError(self.problems)
        return replace(settings, remarks=tuple(self.remarks))

    def _database(self) -> Secret:
        given = self.secret("DATABASE_URL")
        if given is None:
            return Secret(DEFAULT_DATABASE, name="DATABASE_URL")
        scheme, separator, rest = given.reveal().partition("://")
        driver = _DRIVERS.get(scheme.casefold())
        if not separator or driver is None:
            self.say(
                "DATABASE_URL must begin with postgresql:// or sqlite:///, since these are the two databases there are."
            )
            return given
        if driver == "sqlite+aiosqlite":
            if self.file.replicas > 1:
                self.say(
                    "DATABASE_URL names SQLite, but replicas is more than 1; replicas share a PostgreSQL database."
                )
        else:
            # libpq's spelling, which hosting platforms put into DATABASE_URL, is not asyncpg's.
            rest = re.sub(r"([?&])sslmode=", r"\1ssl=", rest)
        return Secret(f"{driver}://{rest}", name=given.name)

    def _secret_key(self) -> Secret | None:
        key = self.secret("CELONIS_CHAT_SECRET_KEY", blanks=True)
        if key is not None and len(key.reveal()) < SHORTEST_SECRET_KEY:
            self.say(
                f"CELONIS_CHAT_SECRET_KEY needs at least {SHORTEST_SECRET_KEY} random characters; make one with: "
                "python -c 'import secrets; print(secrets.token_urlsafe(32))'"
            )
        return key

    def _slack(self) -> Slack | None:
        bot_token = self.secret("SLACK_BOT_TOKEN")
        signing_secret = self.secret("SLACK_SIGNING_SECRET")
        app_token = self.secret("SLACK_APP_TOKEN")
        if bot_token and not bot_token.reveal().startswith("xoxb-"):
            self.say(
                "SLACK_BOT_TOKEN is not a bot token (those begin with xoxb-); copy it from OAuth & Permissions."
            )
        if app_token and not app_token.reveal().startswith("xapp-"):
            self.say(
                "SLACK_APP_TOKEN is not an app-level token (those begin with xapp-); make one under Basic Information."
            )
        if bot_token is None:
            if signing_secret or app_token:
                self.say("SLACK_BOT_TOKEN is missing; Slack needs it beside the other Slack secrets.")
            return None
        if signing_secret is None and app_token is None:
            self.say(
                "SLACK_SIGNING_SECRET is missing (or SLACK_APP_TOKEN, for Socket Mode without a public address)."
            )
        api_url = self.environ.get("SLACK_API_URL", SLACK_API_URL).strip()
        if not _https_or_loopback(api_url):
            self.say(
                "SLACK_API_URL must be an https address (https://slack.com/api/ where nothing else is known)."
            )
        return Slack(bot_token, signing_secret, app_token, api_url.rstrip("/") + "/")

    def _teams(self) -> Teams | None:
        app_id = self.secret("MICROSOFT_APP_ID")
        password = self.secret("MICROSOFT_APP_PASSWORD")
        tenant_id = self.secret("MICROSOFT_APP_TENANT_ID")
        server = self.file.server
        if app_id is None and password is None and tenant_id is None:
            return Teams(app_id="", tenant_id="") if server.development else None
        parts = (
            ("MICROSOFT_APP_ID", app_id),
            ("MICROSOFT_APP_PASSWORD", password),
            ("MICROSOFT_APP_TENANT_ID", tenant_id),
        )
        for name, value in parts:
            # A secret that is there but wrong has been reported already.
            if value is None and not (self.environ.get(name) or self.environ.get(f"{name}_FILE")):
                self.say(
                    f"{name} is missing; a Teams bot of a single tenant needs id, password and tenant id."
                )
        for name, value in (parts[0], parts[2]):
            if value is not None and not _UUID.match(value.reveal()):
                self.say(f"{name} must be an id such as 00000000-0000-0000-0000-000000000000, not a name.")
        return Teams(
            app_id=app_id.reveal().lower() if app_id else "",
            tenant_id=tenant_id.reveal().lower() if tenant_id else "",
            password=password,
        )

    def _bindings(self) -> tuple[Binding, ...]:
        """The bindings; where none speaks of this machine, its terminal may use every connection.

        Whoever starts a program here holds its keys anyway.
        """
        known = set(self.declared) | set(self.file.connections)
        if any(self.environ.get(each) for each in ("CELONIS_URL", "CELONIS_TEAM")):
            known.add(DEFAULT_CONNECTION)
        seen: set[tuple[str, str]] = set()
        for place, each in enumerate(self.file.bindings):
            where = f"bindings[{place + 1}]"
            if sum(map(bool, (each.slack, each.teams, each.local))) != 1:
                self.say(f"{where} must name exactly one of slack, teams and local.")
                continue
            if each.slack and not _SLACK_TEAM.match(each.slack):
                self.say(f"{where}.slack must be a Slack team id such as T0123456, not a name.")
            if each.teams and not _UUID.match(each.teams):
                self.say(f"{where}.teams must be the tenant's id, a UUID, not a name.")
            key = (each.platform, each.home.casefold())
            if key in seen:
                self.say(f"{where} binds the same place a second time; put all connections into one binding.")
            seen.add(key)
            for name in each.connections:
                if name not in known:
                    self.say(f"{where} names the connection {name}, which is not there{_meant(name, known)}")
        if ("local", "") in seen:
            return self.file.bindings
        return (*self.file.bindings, Binding(local=True, connections=tuple(known)))

    def _aliases(self) -> Mapping[str, str]:
        given = {
            " ".join(word.casefold().split()): meant.strip() for word, meant in self.file.aliases.items()
        }
        if "" in given:
            self.say("aliases has an empty word.")
        return MappingProxyType({word: meant for word, meant in {**GERMAN, **given}.items() if meant})

    def _synonyms(self, connections: Iterable[str]) -> dict[str, Synonyms]:
        known = [*self.declared, *connections]
        for name in self.file.synonyms:
            if name != "*" and name not in known:
                self.say(f"synonyms.{name} names a connection that is not there{_meant(name, known)}")
        everywhere = self.file.synonyms.get("*", Synonyms())
        result = {}
        for name in connections:
            own = self.file.synonyms.get(name, Synonyms())
            result[name] = Synonyms(
                **{key: getattr(everywhere, key) | getattr(own, key) for key in Synonyms.model_fields}
            )
        return result

    def _duty(self) -> tuple[Person, ...]:
        people = []
        for platform, entries in (("slack", self.file.duty.slack), ("teams", self.file.duty.teams)):
            for place, entry in enumerate(entries):
                home, _, user = entry.partition(":")
                fault = _person_fault(platform, entry)
                if not fault and user != "*":
                    people.append(Person(platform, home, user))
                else:
                    self.say(f"duty.{platform}[{place + 1}] {fault or 'must name one person'}.")
        return tuple(people)

    def _admin_place(self) -> Place | None:
        key = self.file.admin.place
        if not key:
            return None
        fault = _place_fault(key)
        platform, home, name = [*key.split(":", 2), "", ""][:3]
        if fault or name == "*" or platform == "local":
            self.say(f"admin.place {fault or 'must name one place in Slack or Teams'}.")
            return None
        return Place(platform, home, name, Visibility.CHANNEL)

    def _check_file(self) -> None:
        file = self.file
        if file.zone and file.zone not in _zones():
            meant = _meant(file.zone, _zones(), "; zones are named like Europe/Berlin.")
            self.say(f"{self._named(('zone',))} is not a time zone{meant}")
        try:
            Locale.parse(file.locale, sep="-" if "-" in file.locale else "_")
        except (ValueError, UnknownLocaleError):
            self.say(f"{self._named(('locale',))} is not a locale; it looks like de or en_GB.")
        for place, host in enumerate(file.allowed_hosts):
            if not _ALLOWED_HOST.match(host):
                self.say(
                    f"allowed_hosts[{place + 1}] must be a host such as gateway.example.com or *.example.com, "
                    "without https:// and path."
                )
        if file.heartbeat_url and not _https_or_loopback(file.heartbeat_url):
            self.say(f"{self._named(('heartbeat_url',))} must be an https address.")
        every = {"limits": file.limits} | {
            f"connections.{name}.limits": each.limits
            for name, each in file.connections.items()
            if each.limits is not None
        }
        for name, limits in every.items():
            if limits.people_reserve > limits.background_reserve:
                self.say(
                    f"{name}.people_reserve must not be more than background_reserve: watches stop before people do."
                )
        if file.replicas > file.limits.per_second:
            self.say("replicas must not be more than limits.per_second: each one needs a slot of its own.")
        server = file.server
        if server.development and not is_loopback(server.host):
            self.say(
                "server.development takes messages without a signature, so server.host must be 127.0.0.1 then."
            )
        if server.port == server.admin_port != 0 and server.host == server.admin_host:
            self.say("server.port and server.admin_port must differ.")
        for place, rule in enumerate(file.policy):
            for fault in _rule_faults(rule):
                self.say(f"policy[{place + 1}]{f' ({rule.name})' if rule.name else ''}: {fault}.")

    def _check_need(self, settings: Settings, need: Need) -> None:
        if need >= Need.CONNECTION and not settings.connections and not self.problems:
            self.say(
                "No Celonis team is configured; set CELONIS_URL and CELONIS_API_TOKEN, or run: celonis-chat init"
            )
        if need < Need.SERVING:
            return
        if not settings.zone and not any("zone" in each for each in self.problems):
            self.say(
                'zone is missing; it decides what "today" and "at 23:45" mean. Write zone = "Europe/Berlin".'
            )
        if settings.secret_key is None and not any("SECRET_KEY" in each for each in self.problems):
            self.say(
                "CELONIS_CHAT_SECRET_KEY is missing; it seals the audit log. Make one with: "
                "python -c 'import secrets; print(secrets.token_urlsafe(32))'"
            )
        if settings.slack is None and settings.teams is None and not self.problems:
            self.say(
                "No chat platform is configured; set SLACK_BOT_TOKEN and SLACK_SIGNING_SECRET (or SLACK_APP_TOKEN), "
                "or MICROSOFT_APP_ID, MICROSOFT_APP_PASSWORD and MICROSOFT_APP_TENANT_ID."
            )
        bound = {each.platform for each in settings.bindings}
        if settings.slack is not None and "slack" not in bound:
            self.say(
                'No Slack workspace is bound; add [[bindings]] with slack = "T…" (its team id) and connections = [...].'
            )
        if settings.teams is not None and settings.teams.tenant_id and "teams" not in bound:
            self.say(
                "No Teams tenant is bound; add [[bindings]] with teams = (the tenant's id) and connections = [...]."
            )


def _pruned(tree: Any, loc: Sequence[int | str], *, whole: bool) -> Any:
    """A tree without what stands at `loc`; with `whole`, without the table around it too."""
    if len(loc) <= (2 if whole else 1):
        cut: Sequence[int | str] = loc[:1]
        if isinstance(tree, dict):
            return {key: each for key, each in tree.items() if key != cut[0]}
        if isinstance(tree, list | tuple):
            return [each for place, each in enumerate(tree) if place != cut[0]]
        return tree
    if isinstance(tree, dict):
        return {
            key: _pruned(each, loc[1:], whole=whole) if key == loc[0] else each for key, each in tree.items()
        }
    if isinstance(tree, list | tuple):
        return [
            _pruned(each, loc[1:], whole=whole) if place == loc[0] else each
            for place, each in enumerate(tree)
        ]
    return tree


def _https_or_loopback(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    if "@" in parts.netloc or not host:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))


# --- the policy's words ----------------------------------------------------------------------------------------


def _person_fault(platform: str, entry: str) -> str:
    home, _, user = entry.partition(":")
    if platform == "slack":
        if not _SLACK_TEAM.match(home) or not (user == "*" or _SLACK_USER.match(user)):
            return "must look like T1:U1, the user's own team and id (or T1:* for everybody of T1)"
    elif not _UUID.match(home) or not (user == "*" or _UUID.match(user)):
        return "must be tenant id:object id, two UUIDs (or tenant id:* for everybody of the tenant)"
    return ""


def _place_fault(entry: str) -> str:
    platform, home, name = [*entry.split(":", 2), "", ""][:3]
    fine = {
        "slack": bool(_SLACK_TEAM.match(home)) and (name == "*" or bool(_SLACK_PLACE.match(name))),
        "teams": bool(_UUID.match(home)) and bool(name),
        "local": bool(home) and bool(name),
    }
    if fine.get(platform):
        return ""
    return "must look like slack:T1:C1 or teams:tenant id:conversation id (or * in place of the last part)"


def _rule_faults(rule: Rule) -> Iterator[str]:
    who, on = rule.who, rule.on
    persons = (who.slack, who.teams, who.email, who.groups, who.local)
    if not any(persons) and not who.places:
        yield 'who names nobody; to mean everybody of a workspace say slack = ["T1:*"]'
    for platform, entries in (("slack", who.slack), ("teams", who.teams)):
        for entry in entries:
            fault = _person_fault(platform, entry)
            if fault:
                yield f"who.{platform} {fault}"
    for entry in who.groups:
        platform, home, group = [*entry.split(":", 2), "", ""][:3]
        if platform != "slack" or not _SLACK_TEAM.match(home) or not _SLACK_GROUP.match(group):
            yield "who.groups must look like slack:T1:S1; Teams has no groups that a bot may read"
    if not all(map(_EMAIL.match, who.email)):
        yield "who.email must be an address or *@example.com, with the domain written out"
    for entry in who.places:
        fault = _place_fault(entry)
        if fault:
            yield f"who.places {fault}"
    jobs, data = bool(on.pool or on.job), bool(on.model or on.record or on.field or on.kpi or on.filter)
    if jobs and data:
        yield "on speaks of pools or jobs and of knowledge models; make two rules of it"
    if Right.PUBLIC in rule.may and (any(persons) or not who.places):
        yield "public is a right of places; name who.places and no persons (other rights go into another rule)"
    if {Right.MANAGE, Right.ADMIN} & set(rule.may) and on != On():
        yield "manage and admin cannot be narrowed by on; put them into a rule without it"
    if {Right.RUN, Right.RUN_FULL, Right.CANCEL} & set(rule.may) and data:
        yield "run, run full and cancel are about jobs; on must not speak of knowledge models"
