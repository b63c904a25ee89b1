"""One Celonis team, the identity that the bot has there, and what may be spent."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, ValidationInfo, WithJsonSchema, field_validator
from pydantic.json_schema import SkipJsonSchema

from bot.config.address import CELONIS_DOMAIN, https_or_loopback, is_label, team_root
from bot.config.secret import Secret
from bot.config.section import Reading, Section, fault, form
from bot.model.errors import ConfigError

DEFAULT_CONNECTION = "default"
DEFAULT_OAUTH_SCOPE = "intelligence.knowledge-models:read integration.data-pools"

POINTERS = {
    "api_token": ("api_token",),
    "write_key": ("write_key",),
    "oauth_client_id": ("oauth", "id"),
    "oauth_client_secret": ("oauth", "secret"),
}
"""What a connection's `…_env` and `…_file` lead to."""


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


class Limits(Section):
    """What the Celonis team allows, and how the bot shares it."""

    per_second: int = Field(20, ge=1, le=1000, description="Requests in any one window, over all replicas.")
    window_seconds: float = Field(1.0, gt=0, le=3600, description="Length of that window in seconds.")
    guest_slots: int = Field(
        1, ge=0, le=100, description="Of these, kept for one-shot commands beside replicas."
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
    export_share: float = Field(
        0.01, ge=0, le=1, description="Share of the day that one export may spend without being asked about."
    )
    place_share: float = Field(0.50, gt=0, le=1, description="Share of the day that one place may spend.")


class DataModelRef(Section):
    """What the bot can't read of a knowledge model: which data model feeds it, and which of its dates is meant."""

    pool: str = Field(min_length=1, description="Id of the data pool.")
    data_model: str = Field(min_length=1, description="Id of the data model in that pool.")
    date_field: str = Field(
        "",
        description="The field that a period without a field is about, as `RECORD.field`; asked for otherwise.",
    )


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
    name: SkipJsonSchema[
        Annotated[
            str, form("[a-z0-9][a-z0-9_-]{0,39}", "have small letters, digits, - and _ only (at most 40)")
        ]
    ] = ""
    # A sandbox stands in for the team.
    sandbox: SkipJsonSchema[bool] = False
    oauth: SkipJsonSchema[OAuthClient | None] = None
    # This or `oauth` is there, never both.
    api_token: SkipJsonSchema[Secret | None] = Field(None, validate_default=True)
    # Sends what was confirmed, where it is not `api_token` that does.
    write_key: SkipJsonSchema[Secret | None] = None
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
    api_token_file: str = Field("", description="File that holds the API key, read again when refused.")
    write_key_env: str = Field(
        "",
        description="Environment variable that holds the key for confirmed writes; else the reading one sends them.",
    )
    write_key_file: str = Field("", description="File that holds the key for confirmed writes.")
    oauth_client_id_env: str = Field("", description="Environment variable with the OAuth client id.")
    oauth_client_id_file: str = Field("", description="File that holds the OAuth client id.")
    oauth_client_secret_env: str = Field("", description="Environment variable with the OAuth client secret.")
    oauth_client_secret_file: str = Field("", description="File that holds the OAuth client secret.")
    oauth_scope: str = Field(DEFAULT_OAUTH_SCOPE, description="OAuth scopes, with blanks between them.")
    timeout: float = Field(30.0, gt=0, le=600, description="Seconds to wait, as in PyCelonis.")
    total_retry: int = Field(2, ge=0, le=10, description="Further attempts of a read, as in PyCelonis.")
    backoff_factor: float = Field(
        1.0, ge=0, le=60, description="Seconds; attempt n waits at most this times 2^(n-1), as in PyCelonis."
    )
    connect: bool = Field(True, description="Try the key at start.")
    permissions: bool = Field(True, description="Read at start what the key may do.")
    read_only: bool = Field(
        False, description="Take away every command that changes something, whatever the policy says."
    )
    limits: Limits = Field(
        default_factory=Limits, description="The keys of `[limits]` that are different for this team."
    )
    data_models: dict[str, DataModelRef] = Field(
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
            if not https_or_loopback(url) or parts.path or parts.query:
                raise ValueError("the team's address is https://, a host, and nothing behind it")
            return url
        if not reading.asks or not {"team", "cluster"} <= info.data.keys():
            return url
        team, cluster = (info.data[key].strip().casefold() for key in ("team", "cluster"))
        if url and (team or cluster):
            raise fault(
                " is set beside a team or cluster (CELONIS_TEAM, CELONIS_CLUSTER); keep one of the two."
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
        name, url = (info.data.get(key, "") for key in ("name", "url"))
        team = (urlsplit(url).hostname or "").partition(".")[0]
        return title or (team if name == DEFAULT_CONNECTION and team else name)

    @field_validator(*(f"{key}_file" for key in POINTERS))
    @classmethod
    def _instead(cls, file: str, info: ValidationInfo) -> str:
        variable = str(info.field_name).replace("_file", "_env")
        if file and info.data.get(variable):
            raise fault(f" stands beside {variable}; keep one of them.")
        return file

    @field_validator("api_token")
    @classmethod
    def _one_identity(cls, token: Secret | None, info: ValidationInfo) -> Secret | None:
        reading: Reading | None = info.context
        client = info.data.get("oauth", True)
        if reading is None or not reading.asks or bool(token) != bool(client):
            return token
        if token:
            raise fault(" is given beside an OAuth client; keep one of them.")
        name = info.data.get("name", "")
        if name == DEFAULT_CONNECTION:
            raise fault(
                " is missing (or CELONIS_API_TOKEN_FILE, or an OAuth client): Celonis answers nobody."
            )
        variable = f"CELONIS_API_TOKEN_{name.upper().replace('-', '_')}"
        raise fault(f' is missing; add api_token_env = "{variable}" and set that variable.')
