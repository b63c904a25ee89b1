"""Everything that is configured: one tree, read from the toml and the environment by `load`, frozen."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Annotated, TypeAlias
from urllib.parse import urlsplit

from babel import Locale, UnknownLocaleError
from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)
from pydantic.json_schema import SkipJsonSchema

from bot.config.address import (
    CELONIS_DOMAIN,
    https_or_loopback,
    is_host_pattern,
    is_label,
    is_loopback,
    is_network,
    team_root,
)
from bot.config.rules import Binding, HiddenField, On, Right, Rule, Who, is_uuid
from bot.config.secret import Secret
from bot.config.section import Loc, OrText, Section, Several, fault, meant, refuse
from bot.model.errors import ConfigError

DEFAULT_CONNECTION = "default"
SANDBOX_CONNECTION = "sandbox"
DEFAULT_DATABASE = "sqlite:///celonis-chat.db"
DEFAULT_OAUTH_SCOPE = "intelligence.knowledge-models:read integration.data-pools"
SLACK_API_URL = "https://slack.com/api/"
SHORTEST_SECRET_KEY = 32
MAKE_A_KEY = "make one with: python -c 'import secrets; print(secrets.token_urlsafe(32))'"


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


@dataclass(frozen=True, slots=True)
class Reading:
    """What is known while settings are read, beyond the table in hand.

    Attributes:
        names: Of all connections, those with faults included.
        hosts: That stand for a team, outside Celonis' own domain.
        asks: Whether Celonis will be asked; else no connection is needed, and none is there.
    """

    names: frozenset[str]
    hosts: tuple[str, ...]
    asks: bool


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


class OAuthClient(Section):
    """An OAuth 2 client for the client credentials grant."""

    id: Secret
    secret: Secret
    scope: str = DEFAULT_OAUTH_SCOPE

    @property
    def tail(self) -> str:
        """Enough of its id to tell two clients apart."""
        return self.id.tail

    def read_again(self) -> OAuthClient:
        """The client with its secret as its file holds it now."""
        return self.model_copy(update={"secret": self.secret.read_again()})


def _key_type(value: object) -> object:
    if not isinstance(value, str):
        return value
    folded = value.strip().upper().replace("-", "_").replace(" ", "_")
    return {"BEARER": "USER_KEY", "APPKEY": "APP_KEY", "USERKEY": "USER_KEY", "": None}.get(folded, folded)


class Connection(Section):
    """One Celonis team and identity."""

    # What settings, bindings and stored rows call it; the name of its table.
    name: SkipJsonSchema[str] = ""
    # A sandbox stands in for the team.
    sandbox: SkipJsonSchema[bool] = False
    # Exactly one of the two is there.
    api_token: SkipJsonSchema[Secret | None] = None
    oauth: SkipJsonSchema[OAuthClient | None] = None
    team: str = Field("", description="The team's name, the first part of the address; with `cluster`.")
    cluster: str = Field("", description="The cluster, the second part of the address, such as `eu-1`.")
    # Once it is read: `https://team.cluster.celonis.cloud`, without a slash at the end.
    url: str = Field(
        "", validate_default=True, description="Any address of the team, as copied from the browser."
    )
    title: str = Field(
        "", max_length=60, validate_default=True, description="Name on cards; else the team's own."
    )
    key_type: Annotated[
        KeyType | None, BeforeValidator(_key_type), WithJsonSchema({"enum": [*KeyType, "BEARER"]})
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
    limits: Limits = Field(
        default_factory=Limits, description="The keys of `[limits]` that are different for this team."
    )
    data_models: dict[str, DataModel] = Field(
        default_factory=dict, description="Knowledge model id to the data model behind it."
    )

    @property
    def scope(self) -> str:
        """What its quota is counted under: the team's host (with its port, where one is given)."""
        return urlsplit(self.url).netloc

    @field_validator("url")
    @classmethod
    def _root(cls, url: str, info: ValidationInfo) -> str:
        """The root of the team's address, from one or the other way to give it."""
        reading: Reading | None = info.context
        if reading is None:
            parts = urlsplit(url)
            safe = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))
            if not safe or not parts.hostname or parts.path or parts.query or parts.username:
                raise ValueError("the team's address is https://, a host, and nothing behind it")
            return url
        if not reading.asks or not {"team", "cluster"} <= info.data.keys():
            return url
        team, cluster = (info.data[key].strip().casefold() for key in ("team", "cluster"))
        if url and (team or cluster):
            raise fault(
                " is set beside a team or cluster (CELONIS_TEAM, CELONIS_CLUSTER); keep the one or the others."
            )
        if not url and not (team and cluster):
            half = "cluster" if team else "team" if cluster else "the address in two parts"
            raise fault(
                f" is missing, and so is {half}; give url (CELONIS_URL), or team and cluster (CELONIS_TEAM, CELONIS_CLUSTER)."
            )
        if not url and not (is_label(team) and is_label(cluster)):
            raise fault(
                " is missing: team and cluster are the first two parts of the address, without dots and slashes; or give the whole address as url."
            )
        try:
            return team_root(url or f"https://{team}.{cluster}{CELONIS_DOMAIN}", allowed_hosts=reading.hosts)
        except ConfigError as error:
            raise fault(f": {error.problems[0]}") from None

    @field_validator("title")
    @classmethod
    def _titled(cls, title: str, info: ValidationInfo) -> str:
        name, url = info.data["name"], info.data.get("url", "")
        team = (urlsplit(url).hostname or "").partition(".")[0]
        return title or (team if name == DEFAULT_CONNECTION and team else name)

    def faults(self) -> Iterator[tuple[Loc, str]]:
        if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,39}", self.name):
            yield ("name",), " may have small letters, digits, - and _ only, at most 40."


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
    trusted_proxies: Several[str] = Field(
        ("127.0.0.0/8", "::1"),
        description="Addresses or networks of proxies before the bot, such as `10.0.0.0/8`. Connections from elsewhere are at most 100 from one address.",
    )
    development: bool = Field(
        False,
        description="Accept Teams messages without a signature, for the local Agents Playground; loopback only.",
    )

    def faults(self) -> Iterator[tuple[Loc, str]]:
        if self.development and not is_loopback(self.host):
            yield (
                ("development",),
                " takes messages without a signature, so server.host must be 127.0.0.1 then.",
            )
        for place, proxy in enumerate(self.trusted_proxies):
            if not is_network(proxy):
                yield (
                    ("trusted_proxies", place),
                    " must be an address or a network such as 10.0.0.0/8, not a name.",
                )
        if self.port == self.admin_port != 0:
            yield ("port",), " and server.admin_port must differ."


class Slack(Section):
    """How to reach Slack. With an app token it is Socket Mode, else HTTP with the signing secret."""

    bot_token: Secret
    signing_secret: Secret | None = None
    app_token: Secret | None = None
    api_url: str = SLACK_API_URL

    @field_validator("api_url")
    @classmethod
    def _with_slash(cls, url: str) -> str:
        if not https_or_loopback(url):
            raise fault(f" must be an https address, or one on loopback; leave it out for {SLACK_API_URL}.")
        return url.rstrip("/") + "/"

    def faults(self) -> Iterator[tuple[Loc, str]]:
        if not self.bot_token.reveal().startswith("xoxb-"):
            yield (
                ("bot_token",),
                " is no bot token (those begin with xoxb-); copy it from OAuth & Permissions.",
            )
        if self.app_token and not self.app_token.reveal().startswith("xapp-"):
            yield (
                ("app_token",),
                " is no app-level token (those begin with xapp-); make one under Basic Information.",
            )
        if not self.signing_secret and not self.app_token:
            yield (
                ("signing_secret",),
                " is missing (or SLACK_APP_TOKEN, for Socket Mode without a public address).",
            )


def _in_clear(value: object) -> object:
    return value.reveal() if isinstance(value, Secret) else value


_Id: TypeAlias = Annotated[str, BeforeValidator(_in_clear), StringConstraints(to_lower=True)]


class Teams(Section):
    """Microsoft Teams."""

    # Without an app id (development only) messages carry no signature.
    app_id: SkipJsonSchema[_Id] = ""
    tenant_id: SkipJsonSchema[_Id] = ""
    password: SkipJsonSchema[Secret | None] = None
    service_hosts: Several[str] = Field(
        ("smba.trafficmanager.net", "*.botframework.com", "*.teams.microsoft.com"),
        description="Hosts of Microsoft's that answers go to, such as `smba.trafficmanager.net` or `*.teams.microsoft.com`; a message that names another one is refused.",
    )

    @property
    def registered(self) -> bool:
        """Whether there is an app that people could reach."""
        return bool(self.app_id or self.tenant_id or self.password)

    def faults(self) -> Iterator[tuple[Loc, str]]:
        for place, host in enumerate(self.service_hosts):
            if not is_host_pattern(host):
                yield (
                    ("service_hosts", place),
                    " must be a host such as smba.trafficmanager.net or *.teams.microsoft.com, without https:// and path.",
                )
        for key in ("app_id", "password", "tenant_id") if self.registered else ():
            value = getattr(self, key)
            if not value:
                yield (key,), " is missing; a Teams bot needs its id, its password and its tenant's id."
            elif key != "password" and not is_uuid(value):
                yield (key,), " must be an id such as 00000000-0000-0000-0000-000000000000, not a name."


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


def _hidden(value: object) -> object:
    return {"field": value} if isinstance(value, str) else value


def _names(info: ValidationInfo) -> Iterable[str]:
    """The connections that other tables may name."""
    names: Iterable[str] = info.context.names if info.context else info.data.get("connections", {})
    return names


@cache
def _zones() -> frozenset[str]:
    return frozenset((files("tzdata") / "zones").read_text(encoding="utf-8").split())


class Settings(Section):
    """`celonis-chat.toml`. Secrets are never in it."""

    model_config = ConfigDict(title="celonis-chat.toml")

    # For SQLAlchemy.
    database_url: SkipJsonSchema[Secret] = Secret(DEFAULT_DATABASE, name="DATABASE_URL")
    # They seal the audit log: the first one new rows, each of them what it once sealed; none only outside `serve`.
    secret_keys: SkipJsonSchema[tuple[Secret, ...]] = ()
    slack: SkipJsonSchema[Slack | None] = None
    # What is not wrong but looks unintended; said at start.
    remarks: SkipJsonSchema[tuple[str, ...]] = ()

    zone: str = Field("", description="Time zone for periods and clock times, such as `Europe/Berlin`.")
    locale: str = Field("en", description="How numbers and dates are written, such as `de` or `en_GB`.")
    replicas: int = Field(1, ge=1, description="How many copies of `serve` run at once.")
    allowed_hosts: Several[str] = Field(
        (), description="Hosts outside `celonis.cloud` that stand for a team, such as a gateway of your own."
    )
    members_read: bool = Field(
        True,
        description="Whether full members of bound workspaces may read, privately, without a rule.",
    )
    hide_fields: tuple[Annotated[HiddenField, BeforeValidator(_hidden), OrText()], ...] = Field(
        (), description="Fields that nobody ever sees or uses; a plain text is a pattern of the field."
    )
    limits: Limits = Field(default_factory=Limits, description="Limits of the Celonis team.")
    connections: dict[str, Connection] = Field(default_factory=dict, description="Connections by name.")
    bindings: tuple[Binding, ...] = Field(
        (),
        validate_default=True,
        description="Which connections exist where; a place without one gets nothing.",
    )
    policy: tuple[Rule, ...] = Field((), description="Who may do what, on what.")
    aliases: dict[str, str] = Field(
        default_factory=dict,
        validate_default=True,
        description="Further words for commands: word to command; German ones are there.",
    )
    synonyms: dict[str, Synonyms] = Field(
        default_factory=dict,
        validate_default=True,
        description='Further names, by connection; "*" is every connection.',
    )
    audit: Audit = Field(default_factory=Audit, description="The log.")
    admin: Admin = Field(default_factory=Admin, description="Who runs the bot.")
    server: Server = Field(default_factory=Server, description="Where `serve` listens.")
    # Only where a bot is registered, or for development.
    teams: Teams | None = Field(None, validate_default=True, description="Microsoft Teams.")
    chat: ChatLimits = Field(default_factory=ChatLimits, description="Bounds on what people may ask.")

    @field_validator("secret_keys", mode="before")
    @classmethod
    def _split(cls, keys: object) -> object:
        if not isinstance(keys, Secret):
            return keys
        each = [Secret(part.strip(), name=keys.name) for part in keys.reveal().split(",")]
        if any(len(key.reveal()) < SHORTEST_SECRET_KEY for key in each):
            several = " in each of the keys between its commas" if len(each) > 1 else ""
            raise fault(f" needs at least {SHORTEST_SECRET_KEY} random characters{several}; {MAKE_A_KEY}")
        return tuple(each)

    @field_validator("connections")
    @classmethod
    def _with_limits(cls, connections: dict[str, Connection], info: ValidationInfo) -> dict[str, Connection]:
        """Limits of a connection's own go over those of all."""
        if info.context and not info.context.asks:
            return {}
        limits: Limits = info.data.get("limits") or Limits()
        return {
            name: each.model_copy(
                update={"limits": limits.model_copy(update=each.limits.model_dump(exclude_unset=True))}
            )
            for name, each in connections.items()
        }

    @field_validator("bindings")
    @classmethod
    def _bound(cls, bindings: tuple[Binding, ...], info: ValidationInfo) -> tuple[Binding, ...]:
        """Where no binding speaks of this machine, its terminal may use every connection: whoever starts a program
        here holds its keys anyway.
        """
        names = _names(info)
        places = [(each.platform, each.home.casefold()) for each in bindings]
        again = " binds the same place a second time; put all connections into one binding."
        faults: list[tuple[Loc, str]] = [
            ((number,), again) for number, place in enumerate(places) if place in places[:number]
        ]
        faults += [
            ((number,), f" names the connection {name}, which is not there{meant(name, names)}")
            for number, each in enumerate(bindings)
            for name in each.connections
            if name not in names
        ]
        refuse(faults)
        if any(each.local for each in bindings):
            return bindings
        return (*bindings, Binding(local=True, connections=tuple(info.data.get("connections", ()))))

    @field_validator("aliases")
    @classmethod
    def _with_german(cls, aliases: dict[str, str]) -> dict[str, str]:
        given = {" ".join(word.casefold().split()): command.strip() for word, command in aliases.items()}
        if "" in given:
            raise fault(" has an empty word.")
        return {word: command for word, command in {**GERMAN, **given}.items() if command}

    @field_validator("synonyms")
    @classmethod
    def _of_each(cls, synonyms: dict[str, Synonyms], info: ValidationInfo) -> dict[str, Synonyms]:
        """By connection, with those for every connection mixed in."""
        names = _names(info)
        refuse(
            ((name,), f" names a connection that is not there{meant(name, names)}")
            for name in synonyms
            if name != "*" and name not in names
        )
        everywhere, none = synonyms.get("*", Synonyms()), Synonyms()
        return {
            name: Synonyms(
                **{kind: own | getattr(synonyms.get(name, none), kind) for kind, own in everywhere}
            )
            for name in info.data.get("connections", ())
        }

    @field_validator("teams")
    @classmethod
    def _where_used(cls, teams: Teams | None, info: ValidationInfo) -> Teams | None:
        server: Server = info.data.get("server") or Server()
        return (teams or Teams()) if server.development or (teams and teams.registered) else None

    def faults(self) -> Iterator[tuple[Loc, str]]:
        if self.zone and self.zone not in _zones():
            known = meant(self.zone, _zones(), "; zones are named like Europe/Berlin.")
            yield ("zone",), f" is not a time zone{known}"
        try:
            Locale.parse(self.locale, sep="-" if "-" in self.locale else "_")
        except (ValueError, UnknownLocaleError):
            yield ("locale",), " is not a locale; it looks like de or en_GB."
        for place, host in enumerate(self.allowed_hosts):
            if not is_host_pattern(host):
                yield (
                    ("allowed_hosts", place),
                    " must be a host such as gateway.example.com or *.example.com, without https:// and path.",
                )
        kind = self.database_url.reveal().partition("://")[0].partition("+")[0].casefold()
        if kind not in {"postgres", "postgresql", "sqlite"}:
            yield (
                ("database_url",),
                " must begin with sqlite:// or postgresql://; nothing else is supported.",
            )
        elif kind == "sqlite" and self.replicas > 1:
            yield (
                ("replicas",),
                " is more than 1, but they share no database; give a postgresql:// DATABASE_URL.",
            )
        yield from self._limit_faults()
        yield from self._same_names()

    def _limit_faults(self) -> Iterator[tuple[Loc, str]]:
        every: list[tuple[Loc, Limits]] = [(("limits",), self.limits)]
        every += [
            (("connections", name, "limits"), each.limits)
            for name, each in self.connections.items()
            if each.limits != self.limits
        ]
        for loc, limits in every:
            if limits.people_reserve > limits.background_reserve:
                yield (
                    (*loc, "people_reserve"),
                    " must not be more than background_reserve: the background stops before people do.",
                )
            if self.replicas + limits.guest_slots > limits.per_second:
                yield (
                    (*loc, "per_second"),
                    " must be at least replicas and guest_slots together: each needs one of its own.",
                )

    def _same_names(self) -> Iterator[tuple[Loc, str]]:
        called: dict[str, str] = {}
        first: dict[str, Connection] = {}
        for name, each in self.connections.items():
            for word in sorted({name.casefold(), each.title.casefold()}):
                if word in called:
                    yield (
                        ("connections", name, "title"),
                        f" must differ from that of connections.{called[word]}: both are called {word}.",
                    )
                called[word] = name
            other = first.setdefault(each.url, each)
            if other.limits != each.limits:
                yield (
                    ("connections", name, "limits"),
                    f" must be those of connections.{other.name}: both reach the same team, which has one quota.",
                )

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
            secret_key: Random; seals the audit log.
            database_url: For SQLAlchemy, with an async driver.
            locale: For numbers and dates.
            data_models: Knowledge model id to the data model behind it.

        Returns:
            One connection, bound to the terminal, whose person may read and cancel.

        Raises:
            ConfigError: The address is not on this machine.
        """
        bare = cls(
            database_url=Secret(database_url, name="DATABASE_URL"),
            zone=zone,
            locale=locale,
            secret_keys=(Secret(secret_key, name="CELONIS_CHAT_SECRET_KEY"),),
        )
        return bare.over_sandbox(url, api_token, data_models=data_models)

    def over_sandbox(
        self, url: str, api_token: str, *, data_models: Mapping[str, DataModel] | None = None
    ) -> Settings:
        """These settings with an embedded sandbox in place of every Celonis team.

        Every binding then leads to the sandbox, and the person at the terminal may also read and cancel.

        Raises:
            ConfigError: The address is not on this machine.
        """
        root = team_root(url, allow_loopback=True)
        if not is_loopback(urlsplit(root).hostname or ""):
            raise ConfigError(("An embedded sandbox listens on this machine only.",))
        connection = Connection(
            name=SANDBOX_CONNECTION,
            title="Sandbox",
            url=root,
            api_token=Secret(api_token, name="sandbox key"),
            limits=self.limits,
            data_models=dict(data_models or {}),
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
            may=(Right.READ, Right.CANCEL),
            on=On(connection=(SANDBOX_CONNECTION,)),
        )
        return self.model_copy(
            update={
                "connections": {SANDBOX_CONNECTION: connection},
                "bindings": (*bindings, here),
                "policy": (*self.policy, grant),
            }
        )
