"""Everything that is configured: one tree, read from the toml and the environment by `load`, frozen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal, TypeAlias
from urllib.parse import urlsplit

from babel import Locale, UnknownLocaleError
from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
)
from pydantic.json_schema import SkipJsonSchema

from bot.config.address import https_or_loopback, is_host_pattern, is_loopback, is_network, team_root
from bot.config.connection import Connection, DataModelRef, Limits
from bot.config.rules import (
    Binding,
    HiddenField,
    Notify,
    On,
    PlaceKey,
    Right,
    Rule,
    SecondPerson,
    Who,
    is_uuid,
)
from bot.config.secret import Secret
from bot.config.section import (
    Fault,
    Loc,
    Need,
    Reading,
    Section,
    Several,
    checked,
    fault,
    form,
    meant,
    refuse,
)
from bot.model.clock import known_zones
from bot.model.errors import ConfigError

SANDBOX_CONNECTION = "sandbox"
DEFAULT_DATABASE = "sqlite:///celonis-chat.db"
SLACK_API_URL = "https://slack.com/api/"
SHORTEST_SECRET_KEY = 32
MAKE_A_KEY = "make one with: python -c 'import secrets; print(secrets.token_urlsafe(32))'"


_OnDuty: TypeAlias = Annotated[
    str,
    form(r"(slack|teams|local):[^:]+:[^:]+", "look like slack:T1:U1 or teams:tenant id:object id"),
]
_Address: TypeAlias = Annotated[
    str,
    checked(lambda url: not url or https_or_loopback(url), " must be an https address, or one on loopback."),
]
_Hours: TypeAlias = Annotated[
    str, form(r"(([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d)?", "look like 22:00-06:00")
]
_Host: TypeAlias = Annotated[
    str,
    checked(
        is_host_pattern,
        " must be a host such as gateway.example.com or *.example.com, without https:// and path.",
    ),
]
_Network: TypeAlias = Annotated[
    str, checked(is_network, " must be an address or a network such as 10.0.0.0/8, not a name.")
]


class Synonyms(Section):
    """Words of your own for names in Celonis: word to name or id."""

    models: dict[str, str] = Field(default_factory=dict, description="For knowledge models.")
    records: dict[str, str] = Field(default_factory=dict, description="For records.")
    kpis: dict[str, str] = Field(default_factory=dict, description="For KPIs.")
    filters: dict[str, str] = Field(default_factory=dict, description="For filters.")
    pools: dict[str, str] = Field(default_factory=dict, description="For data pools.")
    jobs: dict[str, str] = Field(default_factory=dict, description="For data jobs.")


KpiKind: TypeAlias = Literal["total", "ratio", "average"]
"""What a KPI measures, as far as its target is concerned: only that of a total is not that of its parts."""


class KpiSettings(Section):
    """What the bot can't read of a KPI."""

    kind: KpiKind = Field(
        description="Whether its parts (groups, periods, conditions) are held against the target: those of a `total` never are, those of a `ratio` or an `average` are. Without it, a percentage or a name such as “Average …” or “… rate” says so."
    )


class AuditSettings(Section):
    """What the log keeps beyond writes, refusals, expiries and failures."""

    reads: bool = Field(True, description="Whether reads are logged too (who asked what, without values).")
    keep_days: int = Field(
        0,
        ge=0,
        le=36_500,
        description="Days after which rows are deleted, under a signed checkpoint that keeps the rest checkable; 0 keeps all.",
    )


class Admin(Section):
    """Who runs the bot."""

    contact: str = Field(
        "", max_length=200, description="Who can change the policy, such as `the process team (#celonis)`."
    )
    place: PlaceKey = Field(
        "",
        description="Where the bot's admins are, such as `slack:T1:C1`: what only they can put right is told there, once, and everybody there may say `writes off` and `writes on`.",
    )


class Server(Section):
    """Where `celonis-chat serve` listens."""

    host: str = Field(
        "127.0.0.1", min_length=1, description="Address for Slack and Teams, behind a proxy with TLS."
    )
    port: int = Field(3978, ge=0, le=65535, description="Port for Slack and Teams.")
    admin_host: str = Field(
        "127.0.0.1", min_length=1, description="Address for readiness and metrics, not public."
    )
    admin_port: int = Field(3979, ge=0, le=65535, description="Port for readiness and metrics.")
    trusted_proxies: Several[_Network] = Field(
        ("127.0.0.0/8", "::1"),
        description="Addresses or networks of proxies before the bot, such as `10.0.0.0/8`. Connections from elsewhere are at most 100 from one address.",
    )
    development: bool = Field(
        False,
        description="Accept Teams messages without a signature, for the local Agents Playground; loopback only.",
    )

    def faults(self, reading: Reading) -> Iterator[Fault]:
        if self.development and not is_loopback(self.host):
            yield ("development",), " takes unsigned messages, so server.host must be 127.0.0.1 then."
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

    def faults(self, reading: Reading) -> Iterator[Fault]:
        if not self.bot_token.reveal().startswith("xoxb-"):
            yield ("bot_token",), " is no bot token (xoxb-…); copy it from OAuth & Permissions."
        if self.app_token and not self.app_token.reveal().startswith("xapp-"):
            yield ("app_token",), " is no app-level token (xapp-…); make one under Basic Information."
        if not self.signing_secret and not self.app_token:
            yield ("signing_secret",), " is missing (or SLACK_APP_TOKEN, for Socket Mode)."


def _in_clear(value: object) -> object:
    return value.reveal() if isinstance(value, Secret) else value


_Id: TypeAlias = Annotated[str, BeforeValidator(_in_clear), StringConstraints(to_lower=True)]


class Teams(Section):
    """Microsoft Teams."""

    # Without an app id (development only) messages carry no signature.
    app_id: SkipJsonSchema[_Id] = ""
    tenant_id: SkipJsonSchema[_Id] = ""
    password: SkipJsonSchema[Secret | None] = None
    service_hosts: Several[_Host] = Field(
        ("smba.trafficmanager.net", "*.botframework.com", "*.teams.microsoft.com"),
        description="Hosts of Microsoft's that answers go to, such as `smba.trafficmanager.net` or `*.teams.microsoft.com`; a message that names another one is refused.",
    )

    @property
    def registered(self) -> bool:
        """Whether there is an app that people could reach."""
        return bool(self.app_id or self.tenant_id or self.password)

    def faults(self, reading: Reading) -> Iterator[Fault]:
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
    charts: Several[Literal["slack", "teams"]] = Field(
        (),
        description="Platforms that draw charts themselves: Slack `data_visualization`, Teams `Chart.*`. Elsewhere charts are bars of characters.",
    )


class Watching(Section):
    """How much may be watched, guarded and told at set times."""

    per_person: int = Field(50, ge=1, description="Watches, guards, alerts and digests of one person.")
    per_place: int = Field(500, ge=1, description="The same of one place.")
    quiet: _Hours = Field(
        "",
        description='Hours in which only failures and guards speak, such as "22:00-06:00", on the clock of each watch; '
        "the rest is told at their end.",
    )
    heartbeat_url: _Address = Field(
        "",
        description="Address that is called every minute while watches are looked after, for a monitor outside.",
    )


def _hidden(value: object) -> object:
    return {"field": value} if isinstance(value, str) else value


def _zone(zone: str, info: ValidationInfo) -> str:
    if info.context and zone and zone not in known_zones():
        known = meant(zone, known_zones(), "; zones are named like Europe/Berlin.")
        raise fault(f" is not a time zone{known}")
    return zone


def _is_locale(text: str) -> bool:
    try:
        Locale.parse(text, sep="-" if "-" in text else "_")
    except (ValueError, UnknownLocaleError):
        return False
    return True


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

    zone: Annotated[str, AfterValidator(_zone)] = Field(
        "", description="Time zone for periods and clock times, such as `Europe/Berlin`."
    )
    locale: Annotated[str, checked(_is_locale, " is not a locale; it looks like de or en_GB.")] = Field(
        "en", description="How numbers and dates are written, such as `de` or `en_GB`."
    )
    replicas: int = Field(1, ge=1, description="How many copies of `serve` run at once.")
    allowed_hosts: Several[_Host] = Field(
        (), description="Hosts outside `celonis.cloud` that stand for a team, such as a gateway of your own."
    )
    members_read: bool = Field(
        True, description="Whether full members of bound workspaces may read, privately, without a rule."
    )
    hide_fields: tuple[
        Annotated[HiddenField, BeforeValidator(_hidden, json_schema_input_type=str | HiddenField)], ...
    ] = Field((), description="Fields that nobody ever sees or uses; a plain text is a pattern of the field.")
    limits: Limits = Field(default_factory=Limits, description="Limits of the Celonis team.")
    connections: dict[str, Connection] = Field(default_factory=dict, description="Connections by name.")
    bindings: tuple[Binding, ...] = Field(
        (),
        validate_default=True,
        description="Which connections exist where; a place without one gets nothing.",
    )
    policy: tuple[Rule, ...] = Field((), description="Who may do what, on what.")
    second_person: dict[str, SecondPerson] = Field(
        default_factory=dict,
        description="Data pools, by name (`*` and `?`, any case) or exact id, in which two people have to confirm what changes something.",
    )
    aliases: dict[str, str] = Field(
        default_factory=dict,
        description="Further words for commands: word to command; English and German ones are there.",
    )
    synonyms: dict[str, Synonyms] = Field(
        default_factory=dict,
        validate_default=True,
        description='Further names, by connection; "*" is every connection.',
    )
    kpis: dict[str, KpiSettings] = Field(default_factory=dict, description="KPIs by id.")
    notify: dict[str, Notify] = Field(
        default_factory=dict,
        description="Who is told of every write that took effect, or may have, by data pool: its id, or a pattern of its name.",
    )
    audit: AuditSettings = Field(default_factory=AuditSettings, description="The log.")
    admin: Admin = Field(default_factory=Admin, description="Who runs the bot.")
    server: Server = Field(default_factory=Server, description="Where `serve` listens.")
    # Only where a bot is registered, or for development.
    teams: Teams | None = Field(None, validate_default=True, description="Microsoft Teams.")
    chat: ChatLimits = Field(default_factory=ChatLimits, description="Bounds on what people may ask.")
    watching: Watching = Field(default_factory=Watching, description="Bounds on what is watched.")
    duty: dict[str, Several[_OnDuty]] = Field(
        default_factory=dict,
        description="Who is mentioned when a guard asks or something fails: pattern of the data pool's name to "
        '`slack:T1:U1` or `teams:tenant:object id`; "*" is every pool.',
    )

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
        places = [(each.platform, each.home.casefold()) for each in bindings]
        again = " binds the same place a second time; put all connections into one binding."
        refuse(((number,), again) for number, place in enumerate(places) if place in places[:number])
        if any(each.local for each in bindings):
            return bindings
        return (*bindings, Binding(local=True, connections=tuple(info.data.get("connections", ()))))

    @field_validator("aliases")
    @classmethod
    def _folded(cls, aliases: dict[str, str]) -> dict[str, str]:
        given = {" ".join(word.casefold().split()): command.strip() for word, command in aliases.items()}
        if "" in given:
            raise fault(" has an empty word.")
        return given

    @field_validator("synonyms")
    @classmethod
    def _of_each(cls, synonyms: dict[str, Synonyms], info: ValidationInfo) -> dict[str, Synonyms]:
        """By connection, with those for every connection mixed in."""
        names = info.context.names if info.context else synonyms
        unknown = (name for name in synonyms if name != "*" and name not in names)
        refuse(((name,), f" names a connection that is not there{meant(name, names)}") for name in unknown)
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

    def faults(self, reading: Reading) -> Iterator[Fault]:
        kind = self.database_url.reveal().partition("://")[0].partition("+")[0].casefold()
        if kind not in {"postgres", "postgresql", "sqlite"}:
            yield ("database_url",), " must begin with sqlite:// or postgresql://; nothing else is supported."
        elif kind == "sqlite" and self.replicas > 1:
            yield ("replicas",), " share no database; give a postgresql:// DATABASE_URL, or run one."
        yield from self._limit_faults()
        yield from self._same_names()
        yield from self._lacking(reading)

    def _lacking(self, reading: Reading) -> Iterator[Fault]:
        """What the command needs and nobody gave."""
        if reading.asks and reading.need >= Need.CONNECTION and not reading.names:
            yield (
                ("connections",),
                ": No Celonis team is configured; set CELONIS_URL and CELONIS_API_TOKEN.",
            )
        if reading.need < Need.SERVING:
            return
        if not self.zone:
            yield ("zone",), ' is missing; it decides when "today" is. Write zone = "Europe/Berlin".'
        if not self.secret_keys:
            yield ("secret_keys",), f" is missing; it seals the audit log; {MAKE_A_KEY}"
        chats = reading.chats | ({"teams"} if self.teams else set())
        if not chats:
            yield (
                ("slack",),
                (
                    ": No chat platform is configured; set SLACK_BOT_TOKEN and SLACK_SIGNING_SECRET (or "
                    "SLACK_APP_TOKEN), or MICROSOFT_APP_ID, MICROSOFT_APP_PASSWORD and MICROSOFT_APP_TENANT_ID."
                ),
            )
        unbound = {
            "slack": 'No Slack workspace is bound; add [[bindings]] with slack = "T…" (its team id)',
            "teams": "No Teams tenant is bound; add [[bindings]] with teams = (the tenant's id)",
        }
        for platform in sorted(chats - {each.platform for each in self.bindings}):
            yield ("bindings",), f": {unbound[platform]} and connections = [...]."

    def _limit_faults(self) -> Iterator[Fault]:
        own = {("connections", name, "limits"): each.limits for name, each in self.connections.items()}
        every: dict[Loc, Limits] = {("limits",): self.limits}
        every |= {loc: limits for loc, limits in own.items() if limits != self.limits}
        for loc, limits in every.items():
            if limits.people_reserve > limits.background_reserve:
                yield (
                    (*loc, "people_reserve"),
                    " must not be more than background_reserve, which stops first.",
                )
            if self.replicas + limits.guest_slots > limits.per_second:
                yield (*loc, "per_second"), " must be at least replicas and guest_slots together."

    def _same_names(self) -> Iterator[Fault]:
        called: dict[str, str] = {}
        first: dict[str, Connection] = {}
        for name, each in self.connections.items():
            for word in sorted({name.casefold(), each.title.casefold()}):
                if word in called:
                    said = f" must differ from that of connections.{called[word]}: both are called {word}."
                    yield ("connections", name, "title"), said
                called[word] = name
            other = first.setdefault(each.url, each)
            if other.limits != each.limits:
                said = (
                    f" must be those of connections.{other.name}: both reach the same team, with one quota."
                )
                yield ("connections", name, "limits"), said

    @classmethod
    def for_demo(
        cls,
        url: str,
        api_token: str,
        *,
        zone: str,
        secret_key: str,
        data_models: Mapping[str, DataModelRef] | None = None,
    ) -> Settings:
        """Settings for an embedded sandbox; nothing comes from the environment or a file.

        Args:
            url: Where the sandbox listens; this machine only.
            api_token: One of the sandbox's keys.
            zone: IANA time zone of the person in front of the screen.
            secret_key: Random; seals the audit log.
            data_models: Knowledge model id to the data model behind it.

        Returns:
            One connection, bound to the terminal, whose person may read and cancel.

        Raises:
            ConfigError: The address is not on this machine.
        """
        keys = (Secret(secret_key, name="CELONIS_CHAT_SECRET_KEY"),)
        return cls(zone=zone, secret_keys=keys).over_sandbox(url, api_token, data_models=data_models)

    def over_sandbox(
        self, url: str, api_token: str, *, data_models: Mapping[str, DataModelRef] | None = None
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
            may=(Right.READ, Right.EXPORT, Right.CANCEL, Right.RUN, Right.RUN_FULL),
            on=On(connection=(SANDBOX_CONNECTION,)),
        )
        return self.model_copy(
            update={
                "connections": {SANDBOX_CONNECTION: connection},
                "bindings": (*bindings, here),
                "policy": (*self.policy, grant),
            }
        )
