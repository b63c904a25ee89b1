"""Everything that is configured, as the rest of the program sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from urllib.parse import urlsplit

from bot.config.address import is_loopback, team_root
from bot.config.secret import Secret
from bot.config.tables import (
    GERMAN,
    Audit,
    Binding,
    ChatLimits,
    DataModel,
    HiddenField,
    KeyType,
    Limits,
    On,
    Right,
    Rule,
    Server,
    Synonyms,
    TeamsSection,
    Who,
)
from bot.model.errors import ConfigError

DEFAULT_CONNECTION = "default"
SANDBOX_CONNECTION = "sandbox"
DEFAULT_DATABASE = "sqlite:///celonis-chat.db"
SLACK_API_URL = "https://slack.com/api/"


@dataclass(frozen=True, slots=True)
class OAuthClient:
    """An OAuth 2 client for the client credentials grant."""

    id: Secret
    secret: Secret
    scope: str

    @property
    def tail(self) -> str:
        """Enough of its id to tell two clients apart."""
        return self.id.tail

    def read_again(self) -> OAuthClient:
        """The client with its secret as its file holds it now."""
        return replace(self, secret=self.secret.read_again())


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
    root: str
    title: str = ""
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

    def __post_init__(self) -> None:
        parts = urlsplit(self.root)
        if not parts.hostname or parts.path.strip("/") or parts.query or parts.username:
            raise ValueError(f"connection {self.name}: the team's address has a host and nothing behind it")
        if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname)):
            raise ValueError(f"connection {self.name}: the team's address begins with https://")

    @property
    def scope(self) -> str:
        """What its quota is counted under: the team's host (with its port, where one is given)."""
        return urlsplit(self.root).netloc.casefold()


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
    service_hosts: tuple[str, ...] = TeamsSection().service_hosts


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that is configured.

    Attributes:
        connections: By name; the order is that of the settings.
        zone: IANA time zone, empty where none is set (never in `serve`).
        policy: The rules, in order.
        aliases: Folded word to command words.
        synonyms: By connection name, with those for "*" mixed in.
        admin_contact: Who can change the policy, in words; may be empty.
        secret_keys: Seal the audit log: the first one new rows, each of them what it once sealed; empty only outside
            `serve`.
        database_url: For SQLAlchemy, with an async driver.
        remarks: Things that are not wrong but look unintended; said at start.
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
    admin_contact: str = ""
    server: Server = field(default_factory=Server)
    chat: ChatLimits = field(default_factory=ChatLimits)
    slack: Slack | None = None
    teams: Teams | None = None
    secret_keys: tuple[Secret, ...] = ()
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
            connections={},
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
            may=(Right.READ, Right.CANCEL),
            on=On(connection=(SANDBOX_CONNECTION,)),
        )
        return replace(
            self,
            connections=MappingProxyType({SANDBOX_CONNECTION: connection}),
            bindings=(*bindings, here),
            policy=(*self.policy, grant),
        )
