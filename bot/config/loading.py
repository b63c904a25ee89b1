"""From the environment and the toml to settings, with every problem on the way."""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import ValidationError

from bot.config.address import is_host_pattern
from bot.config.rules import Right
from bot.config.secret import Secret, secret_fault
from bot.config.section import Loc, Section, meant
from bot.config.settings import (
    DEFAULT_CONNECTION,
    DEFAULT_DATABASE,
    MAKE_A_KEY,
    SHORTEST_SECRET_KEY,
    SLACK_API_URL,
    Reading,
    Settings,
)
from bot.model.errors import ConfigError
from bot.redaction import looks_secret, redact

PREFIX = "CELONIS_CHAT_"
"""`CELONIS_CHAT_LIMITS__PER_DAY=3000` overrides `limits.per_day`; lists and tables are given as JSON."""

_DEFAULT = ("connections", DEFAULT_CONNECTION)


@dataclass(frozen=True, slots=True)
class Variable:
    """An environment variable, and its place among the settings. A `filed` one can be given as a file too: its name
    and `_FILE`.
    """

    name: str
    place: tuple[str, ...]
    about: str
    filed: bool = False


ENVIRONMENT = (
    Variable("CELONIS_URL", (*_DEFAULT, "url"), "Any address of the team, as copied from the browser."),
    Variable(
        "CELONIS_TEAM",
        (*_DEFAULT, "team"),
        "With `CELONIS_CLUSTER`, instead of `CELONIS_URL`: the first part of the address.",
    ),
    Variable("CELONIS_CLUSTER", (*_DEFAULT, "cluster"), "The second part of the address, such as `eu-1`."),
    Variable("CELONIS_API_TOKEN", (*_DEFAULT, "api_token_env"), "Application key or user key.", filed=True),
    Variable(
        "CELONIS_KEY_TYPE",
        (*_DEFAULT, "key_type"),
        "`APP_KEY` or `USER_KEY` (also `BEARER`); found out when not given.",
    ),
    Variable(
        "CELONIS_OAUTH_CLIENT_ID",
        (*_DEFAULT, "oauth_client_id_env"),
        "OAuth client, instead of a key.",
        filed=True,
    ),
    Variable(
        "CELONIS_OAUTH_CLIENT_SECRET", (*_DEFAULT, "oauth_client_secret_env"), "Its secret.", filed=True
    ),
    Variable("CELONIS_OAUTH_SCOPE", (*_DEFAULT, "oauth_scope"), "Its scopes, with blanks between them."),
    Variable(
        "SLACK_BOT_TOKEN", ("slack", "bot_token"), "Begins with `xoxb-`; switches Slack on.", filed=True
    ),
    Variable("SLACK_SIGNING_SECRET", ("slack", "signing_secret"), "For Slack over HTTP.", filed=True),
    Variable(
        "SLACK_APP_TOKEN",
        ("slack", "app_token"),
        "Begins with `xapp-`; with it Slack uses Socket Mode.",
        filed=True,
    ),
    Variable(
        "SLACK_API_URL",
        ("slack", "api_url"),
        f"Slack's Web API; `{SLACK_API_URL}` unless you use GovSlack, or a stand-in on loopback (http too).",
    ),
    Variable("MICROSOFT_APP_ID", ("teams", "app_id"), "Id of the Teams bot; switches Teams on.", filed=True),
    Variable("MICROSOFT_APP_PASSWORD", ("teams", "password"), "Its client secret.", filed=True),
    Variable("MICROSOFT_APP_TENANT_ID", ("teams", "tenant_id"), "The tenant that it belongs to.", filed=True),
    Variable(
        "CELONIS_CHAT_SECRET_KEY",
        ("secret_keys",),
        f"At least {SHORTEST_SECRET_KEY} random characters; seals the audit log and encrypts what people typed. "
        "Several with commas between them: the first one seals and encrypts, the others check and read older rows.",
        filed=True,
    ),
    Variable(
        "DATABASE_URL",
        ("database_url",),
        f"`sqlite:///…` or `postgresql://…`; `{DEFAULT_DATABASE}` unless told otherwise.",
        filed=True,
    ),
)
"""What the environment alone can say. Every setting of the toml can be given there too, see `PREFIX`."""

_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]{0,63}")
_ADDRESS = ("url", "team", "cluster")
_KEYS = ("api_token", "oauth_client_id", "oauth_client_secret")
_SECRET_KEYS = frozenset(
    {
        *("api_key", "api_token", "app_key", "app_password", "app_token", "application_key", "bearer"),
        *("bot_token", "client_id", "client_secret", "key", "oauth_client_id", "oauth_client_secret"),
        *("password", "secret", "secret_key", "signing_secret", "token", "user_key"),
    }
    | {each.name.casefold() for each in ENVIRONMENT if each.filed}
)


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
    reader = _Reader({name: value.strip() for name, value in environ.items() if value.strip()})
    settings = reader.read(toml, need, asks=connections)
    if settings is None or reader.problems:
        raise ConfigError(reader.problems)
    return settings.model_copy(update={"remarks": tuple(reader.remarks(settings, asks=connections))})


class _Element(dict[str, Any]):
    """A table of a list, with its number as people count: that stays when tables before it are taken out."""

    number = 0


def _numbered(value: Any, number: int = 0) -> Any:
    match value:
        case dict():
            table = _Element({key: _numbered(each) for key, each in value.items()})
            table.number = number
            return table
        case list():
            return [_numbered(each, place) for place, each in enumerate(value, 1)]
        case _:
            return value


def _merge(below: dict[str, Any], above: Mapping[str, Any]) -> None:
    for key, value in above.items():
        if isinstance(value, dict) and isinstance(below.get(key), dict):
            _merge(below[key], value)
        else:
            below[key] = value


def _table_at(loc: Loc) -> type[Section] | None:
    """The table that stands at a place of the file."""
    here: type[Section] | None = Settings
    names_follow = False
    for part in loc:
        if not names_follow and isinstance(part, str):
            about = here.written().get(part) if here else None
            names_follow = about is not None and get_origin(about.annotation) is dict
            here = _table_in(about.annotation) if about else None
        else:
            names_follow = False
    return None if names_follow else here


def _table_in(kind: Any) -> type[Section] | None:
    if isinstance(kind, type) and issubclass(kind, Section):
        return kind
    return next(filter(None, map(_table_in, get_args(kind))), None)


def _spelt(loc: Loc, said: str = "") -> str:
    """A setting's name as one would look for it in the file: `policy[2].who.slack`, counted from 1."""
    for part in loc:
        said += f"[{part}]" if isinstance(part, int) else f".{part}" if said else part
    return said


class _Reader:
    """Reads the settings, and notes what is wrong instead of stopping at it.

    Places are as people count them: the second rule of the policy is `("policy", 2)`.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ
        self.problems: list[str] = []
        self.used: set[str] = set()
        self._reported: set[Loc] = set()
        self._called: dict[Loc, str] = {}
        """What came from elsewhere than the toml, and what to call it."""
        self._tree: dict[str, Any] = {}

    def read(self, toml: Path | None, need: Need, *, asks: bool) -> Settings | None:
        """The settings as far as they are right; None where what is wrong cannot be left out."""
        self._tree = tree = _numbered(self._file(toml)) if toml else {}
        self._take_out(tree, (), secrets=True)
        _merge(tree, _numbered(self._overrides()))
        self._take_out(tree, ())
        tables = tree.setdefault("connections", {})
        if not isinstance(tables, dict):
            tables = {}
        self._environment(tables, asks=asks)
        for name, table in tables.items():
            if isinstance(table, dict):
                table["name"] = name
                if asks:
                    self._follow(name, table, toml.parent if toml else Path())
        reading = Reading(
            names=frozenset(tables if asks else (*tables, DEFAULT_CONNECTION)),
            hosts=tuple(filter(is_host_pattern, _texts(tree.get("allowed_hosts")))),
            asks=asks,
        )
        given, bindings = frozenset(tree), tree.get("bindings")
        tables_of = bindings if isinstance(bindings, list) else []
        bound = {key for each in tables_of if isinstance(each, dict) for key in each}
        settings = self._validated(reading)
        if asks and need >= Need.CONNECTION and not tables and not self._is_said("connections"):
            self.say((), "No Celonis team is configured; set CELONIS_URL and CELONIS_API_TOKEN.")
        if need >= Need.SERVING:
            for said in self._lacking(given, bound, settings):
                self.say((), said)
        return settings

    def say(self, place: Loc, problem: str) -> None:
        """Notes a problem, without control characters and without what looks like a secret."""
        line = "".join(each if each.isprintable() else " " for each in problem)
        safe = redact(" ".join(line.split()))
        if safe not in self.problems:
            self.problems.append(safe)
        self._reported.add(place)

    def _is_said(self, *place: str) -> bool:
        """Whether some problem is about this place, or something in it."""
        return any(each[: len(place)] == place for each in self._reported)

    # --- the toml, and what the environment puts over it ---

    def _file(self, toml: Path) -> dict[str, Any]:
        try:
            return tomllib.loads(toml.read_text(encoding="utf-8-sig"))
        except OSError as error:
            self.say((), f"{toml.name} cannot be read ({error.strerror or type(error).__name__}).")
        except UnicodeDecodeError:
            self.say((), f"{toml.name} is not UTF-8 text; save it as UTF-8.")
        except tomllib.TOMLDecodeError as error:
            where = re.search(r"\(at [^()]*\)\Z", str(error))
            self.say((), f"{toml.name} is not valid TOML{f' {where.group()}' if where else ''}.")
        return {}

    def _take_out(self, here: Any, place: Loc, *, secrets: bool = False) -> None:
        """Reports and leaves out what cannot be written: what `load` finds out itself and, in the file, secrets."""
        table = _table_at(place) if isinstance(here, dict) else None
        for key, value in reversed([*(here.items() if isinstance(here, dict) else enumerate(here))]):
            inner = (*place, key + 1 if isinstance(key, int) else key)
            if isinstance(value, dict | list):
                self._take_out(value, inner, secrets=secrets)
            if secrets and isinstance(value, str) and (_names_secret(inner) or looks_secret(value)):
                self.say(
                    inner,
                    f"{_spelt(inner)} holds a secret, which has no place in the toml: take it out, and replace it "
                    f"where it was issued{_instead(inner)}.",
                )
            elif table is not None and key in table.model_fields.keys() - table.written().keys():
                self.say(inner, f"{self._named(inner)} is not a setting{meant(key, table.written())}")
            else:
                continue
            del here[key]

    def _overrides(self) -> dict[str, Any]:
        """Settings of the toml as the environment gives them."""
        found: dict[str, Any] = {}
        for variable, value in sorted(self.environ.items()):
            place: Loc = tuple(variable.upper().removeprefix(PREFIX).lower().split("__"))
            if not variable.upper().startswith(PREFIX) or place[0] not in Settings.written():
                continue
            told: Any = value
            table = _table_at(place[:-1])
            about = table.written().get(str(place[-1])) if table else None
            if value[0] in "[{" and not (about and about.annotation is str):
                try:
                    told = json.loads(value)
                except ValueError:
                    self.say(
                        place, f"{variable} is not valid JSON; lists and tables are given as JSON there."
                    )
                    continue
            self._called[place] = variable
            for part in reversed(place):
                told = {part: told}
            _merge(found, told)
        return found

    def _environment(self, tables: dict[str, Any], *, asks: bool) -> None:
        """What only the environment says, and what it says of the default connection."""
        own = [each for each in ENVIRONMENT if each.place[:2] == _DEFAULT and self.is_given(each.name)]
        if any(each.place[-1] in _ADDRESS for each in own):
            for key in _ADDRESS:
                tables.setdefault(DEFAULT_CONNECTION, {}).pop(key, None)
        own_table = tables.get(DEFAULT_CONNECTION)
        if asks and isinstance(own_table, dict):
            self._point(own_table)
            for each in own:
                if not each.filed:
                    own_table[each.place[-1]] = self.environ[each.name]
                    self._called[each.place] = each.name
        on = {each.place[0] for each in ENVIRONMENT if each.filed and self.is_given(each.name)}
        for each in ENVIRONMENT:
            if each.place[:2] == _DEFAULT or each.place[0] not in on or not self.is_given(each.name):
                continue
            here = self._tree.setdefault(each.place[0], {}) if each.place[1:] else self._tree
            if isinstance(here, dict):
                given = self._secret(each.name, each.place) if each.filed else self.environ[each.name]
                here[each.place[-1]] = given
                self._called.setdefault(each.place, each.name)

    def _point(self, table: dict[str, Any]) -> None:
        """Lets the default connection find its key or client where the `CELONIS_…` variables say."""
        kinds = (_KEYS[:1], _KEYS[1:])
        for kind, other in (kinds, kinds[::-1]):
            if any(self.is_given(f"CELONIS_{key.upper()}") for key in kind):
                for key in (*kind, *other):
                    given = self.is_given(f"CELONIS_{key.upper()}")
                    if given or key in other:
                        table[f"{key}_env"] = f"CELONIS_{key.upper()}" if given else ""
                        table[f"{key}_file"] = ""

    # --- secrets ---

    def is_given(self, variable: str) -> bool:
        return variable in self.environ or f"{variable}_FILE" in self.environ

    def _secret(self, variable: str, place: Loc) -> Secret:
        """A secret from a variable that is given, or from the file that it names with `_FILE`."""
        self.used.add(variable)
        value, file = self.environ.get(variable), self.environ.get(f"{variable}_FILE")
        if file is None:
            return self._checked(Secret(value or "", name=variable), variable, place)
        if value is not None:
            self.say(place, f"{variable} and {variable}_FILE are both set; keep one of them.")
        return self._filed(Path(file), f"{variable}_FILE", variable, place)

    def _filed(self, file: Path, setting: str, name: str, place: Loc) -> Secret:
        try:
            value = file.read_text(encoding="utf-8").strip()
        except OSError as error:
            why = error.strerror or type(error).__name__
            self.say(place, f"{setting} names a file that cannot be read ({why}).")
        except UnicodeDecodeError:
            self.say(place, f"{setting} names a file that is not text.")
        else:
            return self._checked(Secret(value, name=name, file=file), f"The file that {setting} names", place)
        return Secret("", name=name)

    def _checked(self, secret: Secret, called: str, place: Loc) -> Secret:
        self._called[place] = called
        wrong = secret_fault(secret.reveal(), blanks=place == ("secret_keys",))
        if wrong:
            self.say(place, f"{called} {wrong}.")
        return secret

    def _follow(self, name: str, table: dict[str, Any], folder: Path) -> None:
        """Puts the key or the client of a connection where its table says where they are."""
        where = f"connections.{name}"
        found: dict[str, Secret] = {}
        for key in _KEYS:
            variable, file = (str(table.get(f"{key}_{how}", "")) for how in ("env", "file"))
            place = ("connections", name, key)
            if not variable and not file:
                continue
            found[key] = Secret("", name=f"{where}.{key}")
            if variable and file:
                self.say(place, f"{where} has both {key}_env and {key}_file; keep one of them.")
            elif file:
                found[key] = self._filed(folder / file, f"{where}.{key}_file", f"{where}.{key}", place)
            elif not _VARIABLE.fullmatch(variable):
                self.say(
                    place,
                    f"{where}.{key}_env must be the name of an environment variable (capitals, digits, _), not what it holds.",
                )
            elif not self.is_given(variable):
                self.say(place, f"{where}.{key}_env names {variable}, which is not set.")
            else:
                found[key] = self._secret(variable, place)
        token, client, secret = map(found.get, _KEYS)
        if token and (client or secret):
            self.say((), f"{where} has an API key and an OAuth client; keep one of them.")
        elif client and secret:
            scope = table.get("oauth_scope")
            table["oauth"] = {"id": client, "secret": secret} | (
                {"scope": scope} if isinstance(scope, str) else {}
            )
        elif client or secret:
            absent = "oauth_client_secret" if client else "oauth_client_id"
            setting = f"CELONIS_{absent.upper()}" if name == DEFAULT_CONNECTION else f"{where}.{absent}_env"
            self.say((), f"{setting} is missing; an OAuth client needs its id and its secret.")
        elif token:
            table["api_token"] = token
        elif not any(self._is_said("connections", name, key) for key in _KEYS):
            self.say((), _no_key(name))

    # --- from the tree to the settings ---

    def _validated(self, reading: Reading) -> Settings | None:
        """Every part that is wrong is reported once and left out, until the rest is right."""
        while True:
            try:
                return Settings.model_validate(self._tree, context=reading)
            except ValidationError as error:
                faults = error.errors(include_url=False, include_input=False)
            places = [self._place(each["loc"]) for each in faults]
            earlier = frozenset(self._reported)
            for place, each in zip(places, faults, strict=True):
                # A table of which a part is wrong, or from which one was left out, is not wrong itself.
                followed = any(other != place and other[: len(place)] == place for other in places)
                if not followed and not any(other[: len(place)] == place for other in earlier):
                    self.say(place, self._sentence(place, each["type"], each["msg"], each.get("ctx", {})))
            targets = {self._standing(each["loc"]) for each in faults}
            if () in targets:
                return None
            for *path, last in sorted(targets, reverse=True):
                here: Any = self._tree
                for part in path:
                    here = here[part]
                del here[last]

    def _standing(self, loc: Loc) -> Loc:
        """The part of a place that exists."""
        here: Any = self._tree
        for depth, part in enumerate(loc):
            inside = (
                part in here
                if isinstance(here, dict)
                else isinstance(here, list) and part in range(len(here))
            )
            if not inside:
                return loc[:depth]
            here = here[part]
        return loc

    def _place(self, loc: Loc) -> Loc:
        """A place that pydantic counted, as people count."""
        place: Loc = ()
        for depth, part in enumerate(loc, 1):
            here: Any = self._tree
            for key in self._standing(loc[:depth]):
                here = here[key]
            number = here.number if isinstance(here, _Element) else 0
            place = (*place, number or part + 1 if isinstance(part, int) else part)
        return place

    def _named(self, place: Loc) -> str:
        """What a setting is called: where it comes from the environment, or could only, by the variable."""
        for depth in range(len(place), 0, -1):
            if place[:depth] in self._called:
                return _spelt(place[depth:], self._called[place[:depth]])
        variable = next((each.name for each in ENVIRONMENT if each.place == place), "")
        return _spelt(place) if place[0] == "connections" else variable or _spelt(place)

    def _sentence(self, place: Loc, kind: str, message: str, ctx: Mapping[str, Any]) -> str:
        """What pydantic or a table of ours found, for the admin."""
        name = self._named(place)
        match kind:
            case "fault":
                return f"{name}{ctx['said']}"
            case "extra_forbidden":
                table = _table_at(place[:-1])
                return f"{name} is not a setting{meant(str(place[-1]), table.written() if table else ())}"
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

    def _lacking(self, given: frozenset[str], bound: set[str], settings: Settings | None) -> Iterator[str]:
        """What `serve` needs and nobody gave."""
        if "zone" not in given:
            yield 'zone is missing; it decides what "today" and "last month" mean. Write zone = "Europe/Berlin".'
        if "secret_keys" not in given:
            yield f"CELONIS_CHAT_SECRET_KEY is missing; it seals the audit log; {MAKE_A_KEY}"
        teams = settings is not None and settings.teams is not None
        if not teams and "slack" not in given and not self._is_said("teams"):
            yield (
                "No chat platform is configured; set SLACK_BOT_TOKEN and SLACK_SIGNING_SECRET (or SLACK_APP_TOKEN), "
                "or MICROSOFT_APP_ID, MICROSOFT_APP_PASSWORD and MICROSOFT_APP_TENANT_ID."
            )
        if self._is_said("bindings"):
            return
        if "slack" in given and "slack" not in bound:
            yield 'No Slack workspace is bound; add [[bindings]] with slack = "T…" (its team id) and connections = [...].'
        if teams and "teams" not in bound:
            yield "No Teams tenant is bound; add [[bindings]] with teams = (the tenant's id) and connections = [...]."

    def remarks(self, settings: Settings, *, asks: bool) -> Iterator[str]:
        """What is not wrong but looks unintended."""
        known = {each.name for each in ENVIRONMENT} | {
            f"{each.name}_FILE" for each in ENVIRONMENT if each.filed
        }
        prefixes = ("CELONIS_", "SLACK_", "MICROSOFT_APP_")
        for name in sorted(self.environ):
            if name in known or not name.startswith(prefixes) or name.removesuffix("_FILE") in self.used:
                continue
            near = difflib.get_close_matches(name, known - self.environ.keys(), n=1, cutoff=0.9)
            if near:
                yield f"{name} means nothing to this program; did you mean {near[0]}?"
        if asks and self.is_given("CELONIS_API_TOKEN") and "CELONIS_API_TOKEN" not in self.used:
            yield "CELONIS_API_TOKEN is set, but no connection uses it."
        for place, rule in enumerate(settings.policy if not settings.members_read else (), 1):
            if not {Right.READ, Right.PUBLIC, Right.MANAGE, Right.ADMIN} & set(rule.may):
                yield (
                    f"policy[{place}] grants {', '.join(rule.may)} without read, and members_read is off: whoever it is "
                    "for sees nothing of it unless another rule lets them read."
                )


def _texts(value: object) -> list[str]:
    """What may be one text or several, as far as it is any."""
    return [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, str)]


def _names_secret(place: Loc) -> bool:
    return str(place[-1]).casefold() in _SECRET_KEYS and place[0] not in ("aliases", "synonyms")


def _instead(place: Loc) -> str:
    """How to give a secret that stood at a place of the toml."""
    key = str(place[-1])
    if place[0] == "connections" and key in _KEYS:
        return f"; name the environment variable that holds it in {key}_env, or its file in {key}_file"
    return "; give it by environment variable or file" if _names_secret(place) else ""


def _no_key(name: str) -> str:
    if name == DEFAULT_CONNECTION:
        return (
            "CELONIS_API_TOKEN is missing (or CELONIS_API_TOKEN_FILE, or CELONIS_OAUTH_CLIENT_ID and "
            "CELONIS_OAUTH_CLIENT_SECRET); without one of them Celonis answers nobody."
        )
    variable = f"CELONIS_API_TOKEN_{name.upper().replace('-', '_')}"
    return f'connections.{name} names no key; add api_token_env = "{variable}" and set that variable.'


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
