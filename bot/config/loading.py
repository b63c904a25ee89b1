"""From the environment and the toml to settings, with every problem on the way."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from functools import cache
from importlib.resources import files
from itertools import takewhile
from pathlib import Path
from types import MappingProxyType
from typing import Any, get_args
from urllib.parse import urlsplit

from babel import Locale, UnknownLocaleError
from pydantic import BaseModel, ValidationError
from pydantic_settings import EnvSettingsSource

from bot.config.address import (
    CELONIS_DOMAIN,
    https_or_loopback,
    is_host_pattern,
    is_label,
    is_loopback,
    is_network,
    team_root,
)
from bot.config.secret import Secret, secret_fault
from bot.config.settings import (
    DEFAULT_CONNECTION,
    DEFAULT_DATABASE,
    SLACK_API_URL,
    Connection,
    OAuthClient,
    Settings,
    Slack,
    Teams,
)
from bot.config.tables import (
    GERMAN,
    PREFIX,
    Binding,
    ConnectionSection,
    KeyType,
    Right,
    SettingsFile,
    Synonyms,
    is_slack_team,
    is_uuid,
    parse_key_type,
    rule_faults,
)
from bot.model.errors import ConfigError
from bot.redaction import looks_secret, redact

SHORTEST_SECRET_KEY = 32
_MAKE_A_KEY = "make one with: python -c 'import secrets; print(secrets.token_urlsafe(32))'"


@dataclass(frozen=True, slots=True)
class Variable:
    """An environment variable. A `filed` one can be given as a file too: its name and `_FILE`."""

    name: str
    about: str
    filed: bool = False


ENVIRONMENT = (
    Variable("CELONIS_URL", "Any address of the team, as copied from the browser."),
    Variable(
        "CELONIS_TEAM", "With `CELONIS_CLUSTER`, instead of `CELONIS_URL`: the first part of the address."
    ),
    Variable("CELONIS_CLUSTER", "The second part of the address, such as `eu-1`."),
    Variable("CELONIS_API_TOKEN", "Application key or user key.", filed=True),
    Variable("CELONIS_KEY_TYPE", "`APP_KEY` or `USER_KEY` (also `BEARER`); found out when not given."),
    Variable("CELONIS_OAUTH_CLIENT_ID", "OAuth client, instead of a key.", filed=True),
    Variable("CELONIS_OAUTH_CLIENT_SECRET", "Its secret.", filed=True),
    Variable("CELONIS_OAUTH_SCOPE", "Its scopes, with blanks between them."),
    Variable("SLACK_BOT_TOKEN", "Begins with `xoxb-`; switches Slack on.", filed=True),
    Variable("SLACK_SIGNING_SECRET", "For Slack over HTTP.", filed=True),
    Variable("SLACK_APP_TOKEN", "Begins with `xapp-`; with it Slack uses Socket Mode.", filed=True),
    Variable(
        "SLACK_API_URL",
        f"Slack's Web API; `{SLACK_API_URL}` unless you use GovSlack, or a stand-in on loopback (http too).",
    ),
    Variable("MICROSOFT_APP_ID", "Id of the Teams bot; switches Teams on.", filed=True),
    Variable("MICROSOFT_APP_PASSWORD", "Its client secret.", filed=True),
    Variable("MICROSOFT_APP_TENANT_ID", "The tenant that it belongs to.", filed=True),
    Variable(
        "CELONIS_CHAT_SECRET_KEY",
        f"At least {SHORTEST_SECRET_KEY} random characters; seals the audit log and encrypts what people typed. "
        "Several with commas between them: the first one seals and encrypts, the others check and read older rows.",
        filed=True,
    ),
    Variable(
        "DATABASE_URL",
        f"`sqlite:///…` or `postgresql://…`; `{DEFAULT_DATABASE}` unless told otherwise.",
        filed=True,
    ),
)
"""What the environment alone can say. Every setting of the toml can be given there too, see `PREFIX`."""


class Need(IntEnum):
    """How much a command needs configured; each level includes the ones before it."""

    NOTHING = 0
    CONNECTION = 1
    SERVING = 2


def load(
    environ: Mapping[str, str],
    toml: Path | None,
    *,
    need: Need = Need.CONNECTION,
    connections: bool = True,
) -> Settings:
    """Read the settings.

    Args:
        environ: The environment; an empty value counts as not set.
        toml: The settings file, None where there is none.
        need: What must be there, beyond being right where it is there.
        connections: Whether Celonis will be asked. Where a sandbox stands in for it, or only the log is read, the
            teams and their keys need not be there, and the settings have no connections.

    Returns:
        Checked settings.

    Raises:
        ConfigError: With every problem that was found; none of them holds a secret's value.
    """
    given = {name: value for name, value in environ.items() if value.strip()}
    return _Draft(given, toml, connections=connections).finish(need)


class _Given(EnvSettingsSource):
    """The environment that was handed in, read by the rules of pydantic-settings."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        super().__init__(SettingsFile)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return {name.lower(): value for name, value in self._environ.items()}


Loc = tuple[int | str, ...]
"""Where something stands in the toml."""

_SECRET_KEYS = frozenset(
    {
        *("api_key", "api_token", "app_key", "app_password", "app_token", "application_key", "bearer"),
        *("bot_token", "client_id", "client_secret", "key", "oauth_client_id", "oauth_client_secret"),
        *("password", "secret", "secret_key", "signing_secret", "token", "user_key"),
    }
    | {each.name.casefold() for each in ENVIRONMENT if each.filed}
)
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]{0,63}\Z")
_CONNECTION_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}\Z")
_DATABASES = frozenset({"postgres", "postgresql", "sqlite"})
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


def _spelt(loc: Loc) -> str:
    """A setting's name as one would look for it in the file: `policy[2].who.slack`, counted from 1."""
    said = ""
    for part in loc:
        said += f"[{part + 1}]" if isinstance(part, int) else f".{part}" if said else part
    return said


def _known_keys(loc: Loc) -> Iterable[str]:
    """The keys that a table at this place of the file may have."""
    here: Any = SettingsFile
    for part in loc:
        if isinstance(here, type) and issubclass(here, BaseModel):
            here = here.model_fields[str(part)].annotation if part in here.model_fields else None
        else:
            here = [*(each for each in get_args(here) if each is not Ellipsis), None][-2]
        while here is not None and not isinstance(here, type) and type(None) in get_args(here):
            here = next(each for each in get_args(here) if each is not type(None))
        if hasattr(here, "__metadata__"):
            here = get_args(here)[0]
    return here.model_fields if isinstance(here, type) and issubclass(here, BaseModel) else ()


def _standing(tree: Any, loc: Loc) -> Loc:
    """The part of a place that exists in the tree."""
    for depth, part in enumerate(loc):
        inside = (isinstance(tree, dict) and part in tree) or (
            isinstance(tree, list | tuple) and isinstance(part, int) and part < len(tree)
        )
        if not inside:
            return loc[:depth]
        tree = tree[part]
    return loc


def _without(tree: Any, targets: frozenset[Loc], here: Loc = ()) -> Any:
    """A tree without what stands at some places."""
    if isinstance(tree, dict):
        return {
            key: _without(each, targets, (*here, key))
            for key, each in tree.items()
            if (*here, key) not in targets
        }
    if isinstance(tree, list | tuple):
        return [
            _without(each, targets, (*here, place))
            for place, each in enumerate(tree)
            if (*here, place) not in targets
        ]
    return tree


class _Draft:
    """Settings on their way; collects problems instead of stopping at the first."""

    def __init__(self, environ: Mapping[str, str], toml: Path | None, *, connections: bool) -> None:
        self.environ = environ
        self.asks_celonis = connections
        self.folder = toml.parent if toml else Path()
        self.problems: list[str] = []
        self.used: set[str] = set()
        self.secrets: set[Loc] = set()
        self.faulty: set[tuple[str, int]] = set()
        raw = self._read(toml) if toml else {}
        self._find_secrets(raw, ())
        self.given = self._given()
        merged = _merged(_without(raw, frozenset(self.secrets)), self.given)
        declared = merged.get("connections")
        self.declared = tuple(declared) if isinstance(declared, dict) else ()
        self.numbers = {
            key: list(range(1, len(each) + 1)) for key, each in merged.items() if isinstance(each, list)
        }
        self.file = self._validated(merged)

    def say(self, problem: str) -> None:
        line = "".join(each if each.isprintable() else " " for each in problem)
        safe = redact(" ".join(line.split()))
        if safe not in self.problems:
            self.problems.append(safe)

    def said(self, word: str) -> bool:
        """Whether some problem speaks of this already."""
        return any(word in each for each in self.problems)

    # --- the toml and what the environment puts over it ---

    def _read(self, toml: Path) -> dict[str, Any]:
        try:
            return tomllib.loads(toml.read_text(encoding="utf-8-sig"))
        except OSError as error:
            self.say(f"{toml.name} cannot be read ({error.strerror or type(error).__name__}).")
        except UnicodeDecodeError:
            self.say(f"{toml.name} is not UTF-8 text; save it as UTF-8.")
        except tomllib.TOMLDecodeError as error:
            where = re.search(r"\(at [^()]*\)\Z", str(error))
            self.say(f"{toml.name} is not valid TOML{f' {where.group()}' if where else ''}.")
        return {}

    def _find_secrets(self, value: Any, loc: Loc) -> None:
        match value:
            case dict():
                for key, each in value.items():
                    self._find_secrets(each, (*loc, key))
            case list():
                for place, each in enumerate(value):
                    self._find_secrets(each, (*loc, place))
            case str() if loc:
                key = str(loc[-1])
                named = key.casefold() in _SECRET_KEYS and loc[0] not in ("aliases", "synonyms")
                if named or looks_secret(value):
                    self.secrets.add(loc)
                    self.say(
                        f"{_spelt(loc)} holds a secret, which has no place in the toml: take it out, and replace it "
                        f"where it was issued{self._instead(loc, named=named)}."
                    )
            case _:
                pass

    @staticmethod
    def _instead(loc: Loc, *, named: bool) -> str:
        key = str(loc[-1])
        if loc[0] == "connections" and f"{key}_env" in ConnectionSection.model_fields:
            return f"; name the environment variable that holds it in {key}_env, or its file in {key}_file"
        return "; give it by environment variable or file" if named else ""

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
        """The file as far as it is right; every part that is not is reported once and left out."""
        reported: set[Loc] = set()
        while True:
            try:
                return SettingsFile(**merged)
            except ValidationError as error:
                faults = error.errors(include_url=False, include_input=False)
            places = {each["loc"] for each in faults}
            targets = set()
            for each in faults:
                loc = each["loc"]
                target = _standing(merged, loc)
                # A list of which an element is wrong, or from which one was taken out, is not wrong itself.
                followed = any(loc != other and loc == other[: len(loc)] for other in places | reported)
                if not followed and loc not in reported:
                    self.say(self._explained(loc, each["type"], each["msg"], each.get("ctx", {})))
                targets.add(target)
                if (
                    len(loc) > 1
                    and isinstance(loc[1], int)
                    and loc[1] < len(self.numbers.get(str(loc[0]), ()))
                ):
                    self.faulty.add((str(loc[0]), self.numbers[str(loc[0])][loc[1]]))
            reported |= places
            if () in targets:
                return SettingsFile()
            merged = _without(merged, frozenset(targets))
            for key, numbers in self.numbers.items():
                self.numbers[key] = [
                    each for place, each in enumerate(numbers) if (key, place) not in targets
                ]

    def _explained(self, loc: Loc, kind: str, message: str, ctx: Mapping[str, Any]) -> str:
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
                return f"{name} must be {words[sign]} {bound:g}."
            case "too_short" | "string_too_short":
                return f"{name} must not be empty."
            case _:
                wanted = _WANTED.get(kind)
                return (
                    f"{name} must be {wanted}." if wanted else f"{name}: {message[:1].lower()}{message[1:]}."
                )

    def _named(self, loc: Loc) -> str:
        """The setting's name, as the environment variable where it comes from there."""
        here: Any = self.given
        path = list(takewhile(lambda part: isinstance(part, str), loc))
        for part in path:
            if not isinstance(here, dict) or part not in here:
                return _spelt(loc)
            here = here[part]
        variable = PREFIX + "__".join(str(part).upper() for part in path)
        return f"{variable}{_spelt(loc[len(path) :])}"

    # --- secrets ---

    def is_given(self, variable: str) -> bool:
        return variable in self.environ or f"{variable}_FILE" in self.environ

    def secret(self, variable: str, *, blanks: bool = False) -> Secret | None:
        """A secret from a variable, or from the file that the variable with `_FILE` names."""
        self.used.add(variable)
        value, file = self.environ.get(variable, "").strip(), self.environ.get(f"{variable}_FILE", "").strip()
        if value and file:
            self.say(f"{variable} and {variable}_FILE are both set; keep one of them.")
            return None
        if file:
            return self._filed(f"{variable}_FILE", variable, Path(file), blanks=blanks)
        if not value:
            return None
        fault = secret_fault(value, blanks=blanks)
        if fault:
            self.say(f"{variable} {fault}.")
            return None
        return Secret(value, name=variable)

    def _filed(self, setting: str, name: str, file: Path, *, blanks: bool = False) -> Secret | None:
        try:
            value = file.read_text(encoding="utf-8").strip()
        except OSError as error:
            why = error.strerror or type(error).__name__
            self.say(f"{setting} names a file that cannot be read ({why}).")
            return None
        except UnicodeDecodeError:
            self.say(f"{setting} names a file that is not text.")
            return None
        fault = secret_fault(value, blanks=blanks)
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
            return self._filed(f"{where}.{key}_file", f"{where}.{key}", self.folder / file)
        if not variable:
            return None
        if not _VARIABLE.match(variable):
            self.say(
                f"{where}.{key}_env must be the name of an environment variable (capitals, digits, _), "
                "not what it holds."
            )
            return None
        if not self.is_given(variable):
            self.say(f"{where}.{key}_env names {variable}, which is not set.")
            return None
        return self.secret(variable)

    # --- connections ---

    def _connections(self) -> dict[str, Connection]:
        if not self.asks_celonis:
            return {}
        sections = dict(self.file.connections)
        address = self._address()
        if DEFAULT_CONNECTION in sections or address:
            own = sections.get(DEFAULT_CONNECTION, ConnectionSection())
            sections[DEFAULT_CONNECTION] = self._from_environment(own, address)
        found = [self._connection(name, section) for name, section in sections.items()]
        result = {each.name: each for each in found if each is not None}
        self._tell_apart(result.values())
        return result

    def _address(self) -> dict[str, str]:
        url, team, cluster = (
            self.environ.get(f"CELONIS_{each}", "").strip() for each in ("URL", "TEAM", "CLUSTER")
        )
        if url and (team or cluster):
            self.say("CELONIS_URL is set beside CELONIS_TEAM or CELONIS_CLUSTER; keep the one or the others.")
        if url:
            return {"url": url, "team": "", "cluster": ""}
        return {"url": "", "team": team, "cluster": cluster} if team or cluster else {}

    def _from_environment(self, section: ConnectionSection, address: Mapping[str, str]) -> ConnectionSection:
        """The default connection, with the `CELONIS_…` variables over its own settings."""
        update: dict[str, Any] = dict(address)
        given = parse_key_type(self.environ.get("CELONIS_KEY_TYPE", ""))
        if given in tuple(KeyType):
            update["key_type"] = KeyType(str(given))
        elif given is not None:
            self.say("CELONIS_KEY_TYPE must be APP_KEY or USER_KEY (also BEARER), or empty to find out.")
        scope = self.environ.get("CELONIS_OAUTH_SCOPE", "").strip()
        if scope:
            update["oauth_scope"] = scope
        kinds = (("api_token",), ("oauth_client_id", "oauth_client_secret"))
        for kind, other in (kinds, kinds[::-1]):
            if any(self.is_given(f"CELONIS_{key.upper()}") for key in kind):
                for key in (*kind, *other):
                    variable = f"CELONIS_{key.upper()}"
                    if self.is_given(variable):
                        update |= {f"{key}_env": variable, f"{key}_file": ""}
                    elif key in other:
                        update |= {f"{key}_env": "", f"{key}_file": ""}
        return section.model_copy(update=update)

    def _connection(self, name: str, section: ConnectionSection) -> Connection | None:
        where = f"connections.{name}"
        if not _CONNECTION_NAME.match(name):
            self.say(f"{where}: a connection's name has small letters, digits, - and _ only, at most 40.")
        root = self._root(name, section)
        oauth, token = self._credential(name, section)
        if not root:
            return None
        limits = self.file.limits
        if section.limits is not None:
            own = {key: getattr(section.limits, key) for key in section.limits.model_fields_set}
            limits = limits.model_copy(update=own)
        team = (urlsplit(root).hostname or "").split(".", 1)[0]
        return Connection(
            name=name,
            title=section.title or (team if name == DEFAULT_CONNECTION else name),
            root=root,
            api_token=token,
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

    def _credential(self, name: str, section: ConnectionSection) -> tuple[OAuthClient | None, Secret | None]:
        where = f"connections.{name}"
        token = self._referenced(where, "api_token", section)
        client = self._referenced(where, "oauth_client_id", section)
        client_secret = self._referenced(where, "oauth_client_secret", section)
        wants_token, wants_id, wants_secret = (
            bool(getattr(section, f"{key}_env") or getattr(section, f"{key}_file"))
            for key in ("api_token", "oauth_client_id", "oauth_client_secret")
        )
        if wants_token and (wants_id or wants_secret):
            self.say(f"{where} has an API key and an OAuth client; keep one of them.")
        elif wants_id != wants_secret:
            absent = "oauth_client_secret" if wants_id else "oauth_client_id"
            said = f"CELONIS_{absent.upper()}" if name == DEFAULT_CONNECTION else f"{where}.{absent}_env"
            self.say(f"{said} is missing; an OAuth client needs its id and its secret.")
        elif not (wants_token or wants_id or any(each[:2] == ("connections", name) for each in self.secrets)):
            if name == DEFAULT_CONNECTION:
                self.say(
                    "CELONIS_API_TOKEN is missing (or CELONIS_API_TOKEN_FILE, or CELONIS_OAUTH_CLIENT_ID and "
                    "CELONIS_OAUTH_CLIENT_SECRET); without one of them Celonis answers nobody."
                )
            else:
                variable = f"CELONIS_API_TOKEN_{name.upper().replace('-', '_')}"
                self.say(f'{where} names no key; add api_token_env = "{variable}" and set that variable.')
        if client is not None and client_secret is not None:
            return OAuthClient(client, client_secret, section.oauth_scope), None
        return None, token

    def _root(self, name: str, section: ConnectionSection) -> str:
        where = f"connections.{name}"
        if ("connections", name, "url") in self.secrets:
            return ""
        if section.url and (section.team or section.cluster):
            self.say(f"{where} has a url and a team or cluster; keep the one or the others.")
            return ""
        if not section.url and not (section.team and section.cluster):
            half = "cluster" if section.team else "team" if section.cluster else "address"
            self.say(
                f"{where} has no {half}; give url (CELONIS_URL), or team and cluster (CELONIS_TEAM, CELONIS_CLUSTER)."
            )
            return ""
        address = section.url
        if not address:
            team, cluster = section.team.strip().casefold(), section.cluster.strip().casefold()
            if not is_label(team) or not is_label(cluster):
                self.say(
                    f"{where}: team and cluster are the first two parts of the address, without dots and slashes; "
                    "or give the whole address as url."
                )
                return ""
            address = f"https://{team}.{cluster}{CELONIS_DOMAIN}"
        try:
            return team_root(address, allowed_hosts=[*filter(is_host_pattern, self.file.allowed_hosts)])
        except ConfigError as error:
            self.say(f"{where}: {error.problems[0]}")
            return ""

    def _tell_apart(self, connections: Iterable[Connection]) -> None:
        names: dict[str, str] = {}
        first: dict[str, Connection] = {}
        for each in connections:
            for word in sorted({each.name.casefold(), each.title.casefold()}):
                if word in names:
                    self.say(
                        f"connections.{names[word]} and connections.{each.name} are both called {word}; give one a title."
                    )
                names[word] = each.name
            other = first.setdefault(each.root, each)
            if other.limits != each.limits:
                self.say(
                    f"connections.{other.name} and connections.{each.name} reach the same team, which has one quota, "
                    "with different limits; give both the same."
                )

    # --- the rest ---

    def _database(self) -> Secret:
        given = self.secret("DATABASE_URL") or Secret(DEFAULT_DATABASE, name="DATABASE_URL")
        kind = given.reveal().partition("://")[0].partition("+")[0].casefold()
        if kind not in _DATABASES:
            self.say("DATABASE_URL must begin with sqlite:// or postgresql://; nothing else is supported.")
        elif kind == "sqlite" and self.file.replicas > 1:
            self.say(
                "replicas is more than 1, but they share no database; give a postgresql:// DATABASE_URL."
            )
        return given

    def _secret_keys(self) -> tuple[Secret, ...]:
        name = "CELONIS_CHAT_SECRET_KEY"
        given = self.secret(name, blanks=True)
        keys = tuple(Secret(each.strip(), name=name) for each in given.reveal().split(",")) if given else ()
        if any(len(key.reveal()) < SHORTEST_SECRET_KEY for key in keys):
            each = " in each of the keys between its commas" if len(keys) > 1 else ""
            self.say(f"{name} needs at least {SHORTEST_SECRET_KEY} random characters{each}; {_MAKE_A_KEY}")
        return keys

    def _slack(self) -> Slack | None:
        bot_token = self.secret("SLACK_BOT_TOKEN")
        signing_secret = self.secret("SLACK_SIGNING_SECRET")
        app_token = self.secret("SLACK_APP_TOKEN")
        if bot_token and not bot_token.reveal().startswith("xoxb-"):
            self.say(
                "SLACK_BOT_TOKEN is no bot token (those begin with xoxb-); copy it from OAuth & Permissions."
            )
        if app_token and not app_token.reveal().startswith("xapp-"):
            self.say(
                "SLACK_APP_TOKEN is no app-level token (those begin with xapp-); make one under Basic Information."
            )
        if not self.is_given("SLACK_BOT_TOKEN"):
            if signing_secret or app_token:
                self.say("SLACK_BOT_TOKEN is missing; Slack needs it beside the other Slack secrets.")
            return None
        if not self.is_given("SLACK_SIGNING_SECRET") and not self.is_given("SLACK_APP_TOKEN"):
            self.say(
                "SLACK_SIGNING_SECRET is missing (or SLACK_APP_TOKEN, for Socket Mode without a public address)."
            )
        api_url = self.environ.get("SLACK_API_URL", SLACK_API_URL).strip()
        if not https_or_loopback(api_url):
            self.say(
                f"SLACK_API_URL must be an https address, or one on loopback; leave it out for {SLACK_API_URL}."
            )
        return Slack(bot_token, signing_secret, app_token, api_url.rstrip("/") + "/") if bot_token else None

    def _teams(self) -> Teams | None:
        names = ("MICROSOFT_APP_ID", "MICROSOFT_APP_PASSWORD", "MICROSOFT_APP_TENANT_ID")
        app_id, password, tenant_id = map(self.secret, names)
        if not any(map(self.is_given, names)):
            hosts = self.file.teams.service_hosts
            return Teams("", "", service_hosts=hosts) if self.file.server.development else None
        for name in names:
            if not self.is_given(name):
                self.say(f"{name} is missing; a Teams bot needs its id, its password and its tenant's id.")
        for name, value in ((names[0], app_id), (names[2], tenant_id)):
            if value is not None and not is_uuid(value.reveal()):
                self.say(f"{name} must be an id such as 00000000-0000-0000-0000-000000000000, not a name.")
        return Teams(
            app_id=app_id.reveal().lower() if app_id else "",
            tenant_id=tenant_id.reveal().lower() if tenant_id else "",
            password=password,
            service_hosts=self.file.teams.service_hosts,
        )

    def _known(self, connections: Iterable[str]) -> tuple[str, ...]:
        """The names that bindings and synonyms may use, those of connections with problems included."""
        own = (DEFAULT_CONNECTION,) if not self.asks_celonis or self._address() else ()
        return tuple(dict.fromkeys((*connections, *self.declared, *own)))

    def _bindings(self, connections: Iterable[str]) -> tuple[Binding, ...]:
        """The bindings; where none speaks of this machine, its terminal may use every connection.

        Whoever starts a program here holds its keys anyway.
        """
        known = self._known(connections)
        seen: set[tuple[str, str]] = set()
        for number, each in zip(self.numbers.get("bindings", ()), self.file.bindings, strict=False):
            where = f"bindings[{number}]"
            if sum(map(bool, (each.slack, each.teams, each.local))) != 1:
                self.say(f"{where} must name exactly one of slack, teams and local.")
                continue
            if each.slack and not is_slack_team(each.slack):
                self.say(f"{where}.slack must be a Slack team id such as T0123456, not a name.")
            if each.teams and not is_uuid(each.teams):
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
        return (*self.file.bindings, Binding(local=True, connections=tuple(connections)))

    def _aliases(self) -> Mapping[str, str]:
        given = {
            " ".join(word.casefold().split()): meant.strip() for word, meant in self.file.aliases.items()
        }
        if "" in given:
            self.say("aliases has an empty word.")
        return MappingProxyType({word: meant for word, meant in {**GERMAN, **given}.items() if meant})

    def _synonyms(self, connections: Sequence[str]) -> dict[str, Synonyms]:
        known = self._known(connections)
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
            if not is_host_pattern(host):
                self.say(
                    f"allowed_hosts[{place + 1}] must be a host such as gateway.example.com or *.example.com, "
                    "without https:// and path."
                )
        for place, host in enumerate(file.teams.service_hosts):
            if not is_host_pattern(host):
                self.say(
                    f"teams.service_hosts[{place + 1}] must be a host such as smba.trafficmanager.net or "
                    "*.teams.microsoft.com, without https:// and path."
                )
        for number, rule in zip(self.numbers.get("policy", ()), file.policy, strict=False):
            for fault in rule_faults(rule) if ("policy", number) not in self.faulty else ():
                self.say(f"policy[{number}]{f' ({rule.name})' if rule.name else ''}: {fault}.")

    def _check_limits(self, connections: Iterable[Connection]) -> None:
        every = [("limits", self.file.limits)]
        every += [(f"connections.{each.name}.limits", each.limits) for each in connections]
        for name, limits in every:
            if name != "limits" and limits == self.file.limits:
                continue
            if limits.people_reserve > limits.background_reserve:
                self.say(
                    f"{name}.people_reserve must not be more than background_reserve: the background stops before people do."
                )
            if self.file.replicas + limits.guest_slots > limits.per_second:
                self.say(
                    f"{name}.per_second must be at least replicas and guest_slots together: each needs one of its own."
                )

    def _check_server(self) -> None:
        server = self.file.server
        if server.development and not is_loopback(server.host):
            self.say(
                "server.development takes messages without a signature, so server.host must be 127.0.0.1 then."
            )
        for place, proxy in enumerate(server.trusted_proxies):
            if not is_network(proxy):
                self.say(
                    f"server.trusted_proxies[{place + 1}] must be an address or a network such as 10.0.0.0/8, not a name."
                )
        if server.port == server.admin_port != 0:
            self.say("server.port and server.admin_port must differ.")

    def _check_need(self, settings: Settings, need: Need) -> None:
        wanted = self.asks_celonis and need >= Need.CONNECTION
        if wanted and not settings.connections and not self.declared and not self._address():
            self.say("No Celonis team is configured; set CELONIS_URL and CELONIS_API_TOKEN.")
        if need < Need.SERVING:
            return
        if not settings.zone and not self.said("zone"):
            self.say(
                'zone is missing; it decides what "today" and "last month" mean. Write zone = "Europe/Berlin".'
            )
        if not self.is_given("CELONIS_CHAT_SECRET_KEY"):
            self.say(f"CELONIS_CHAT_SECRET_KEY is missing; it seals the audit log; {_MAKE_A_KEY}")
        bound = {each.platform for each in settings.bindings}
        teams = settings.teams is not None
        if settings.slack is None and not teams and not self.said("SLACK_") and not self.said("MICROSOFT_"):
            self.say(
                "No chat platform is configured; set SLACK_BOT_TOKEN and SLACK_SIGNING_SECRET (or SLACK_APP_TOKEN), "
                "or MICROSOFT_APP_ID, MICROSOFT_APP_PASSWORD and MICROSOFT_APP_TENANT_ID."
            )
        if settings.slack is not None and "slack" not in bound and not self.said("bindings"):
            self.say(
                'No Slack workspace is bound; add [[bindings]] with slack = "T…" (its team id) and connections = [...].'
            )
        if teams and "teams" not in bound and not self.said("bindings"):
            self.say(
                "No Teams tenant is bound; add [[bindings]] with teams = (the tenant's id) and connections = [...]."
            )

    def _remarks(self, settings: Settings) -> tuple[str, ...]:
        found = []
        known = {each.name for each in ENVIRONMENT} | {
            f"{each.name}_FILE" for each in ENVIRONMENT if each.filed
        }
        prefixes = ("CELONIS_", "SLACK_", "MICROSOFT_APP_", PREFIX)
        for name in sorted(self.environ):
            if name in known or not name.startswith(prefixes) or name.removesuffix("_FILE") in self.used:
                continue
            meant = difflib.get_close_matches(name, known - self.environ.keys(), n=1, cutoff=0.9)
            if meant:
                found.append(f"{name} means nothing to this program; did you mean {meant[0]}?")
        if self.asks_celonis and self.is_given("CELONIS_API_TOKEN") and "CELONIS_API_TOKEN" not in self.used:
            found.append("CELONIS_API_TOKEN is set, but no connection uses it.")
        if not settings.members_read:
            found += [
                f"policy[{place}] grants {', '.join(rule.may)} without read, and members_read is off: whoever it is for "
                "sees nothing of it unless another rule lets them read."
                for place, rule in enumerate(settings.policy, 1)
                if not {Right.READ, Right.PUBLIC, Right.MANAGE, Right.ADMIN} & set(rule.may)
            ]
        return tuple(found)

    def finish(self, need: Need) -> Settings:
        connections = self._connections()
        settings = Settings(
            connections=MappingProxyType(connections),
            database_url=self._database(),
            bindings=self._bindings(connections),
            limits=self.file.limits,
            replicas=self.file.replicas,
            zone=self.file.zone,
            locale=self.file.locale,
            members_read=self.file.members_read,
            policy=self.file.policy,
            hide_fields=self.file.hide_fields,
            aliases=self._aliases(),
            synonyms=MappingProxyType(self._synonyms(tuple(connections))),
            audit=self.file.audit,
            admin_contact=self.file.admin.contact,
            server=self.file.server,
            chat=self.file.chat,
            slack=self._slack(),
            teams=self._teams(),
            secret_keys=self._secret_keys(),
        )
        self._check_file()
        self._check_limits(connections.values())
        self._check_server()
        self._check_need(settings, need)
        if self.problems:
            raise ConfigError(self.problems)
        return replace(settings, remarks=self._remarks(settings))


_WANTED = {
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_parsing": "a number",
    "float_type": "a number",
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "string_type": "a text in quotation marks",
    "tuple_type": "a list",
    "dict_type": "a table",
    "model_type": "a table",
}
