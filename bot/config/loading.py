"""From the environment and the toml to settings, with every problem on the way."""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bot.config.address import is_host_pattern
from bot.config.connection import DEFAULT_CONNECTION, POINTERS
from bot.config.rules import Right
from bot.config.secret import Secret, secret_fault
from bot.config.section import Found, Loc, Need, Reading
from bot.config.settings import DEFAULT_DATABASE, SHORTEST_SECRET_KEY, SLACK_API_URL, Settings
from bot.model.errors import ConfigError
from bot.redaction import looks_secret, redact

PREFIX = "CELONIS_CHAT_"
"""`CELONIS_CHAT_LIMITS__PER_DAY=3000` overrides `limits.per_day`; lists and tables are given as JSON."""


@dataclass(frozen=True, slots=True)
class Variable:
    """An environment variable, and its place in the settings. A `filed` one can be given as a file too: its name and
    `_FILE`.
    """

    name: str
    place: tuple[str, ...]
    about: str
    filed: bool = False


def _plain(name: str, place: str, about: str) -> Variable:
    return Variable(name, tuple(place.split(".")), about)


def _filed(name: str, place: str, about: str) -> Variable:
    return Variable(name, tuple(place.split(".")), about, filed=True)


ENVIRONMENT = (
    _plain("CELONIS_URL", "connections.default.url", "Any address of the team, as copied from the browser."),
    _plain(
        "CELONIS_TEAM",
        "connections.default.team",
        "With `CELONIS_CLUSTER`, instead of `CELONIS_URL`: the first part of the address.",
    ),
    _plain(
        "CELONIS_CLUSTER", "connections.default.cluster", "The second part of the address, such as `eu-1`."
    ),
    _filed("CELONIS_API_TOKEN", "connections.default.api_token", "Application key or user key."),
    _plain(
        "CELONIS_KEY_TYPE",
        "connections.default.key_type",
        "`APP_KEY` or `USER_KEY` (also `BEARER`); found out when not given.",
    ),
    _filed(
        "CELONIS_WRITE_KEY",
        "connections.default.write_key",
        "Key for what was confirmed, so that the other one needs no right to change anything.",
    ),
    _filed("CELONIS_OAUTH_CLIENT_ID", "connections.default.oauth.id", "OAuth client, instead of a key."),
    _filed("CELONIS_OAUTH_CLIENT_SECRET", "connections.default.oauth.secret", "Its secret."),
    _plain("CELONIS_OAUTH_SCOPE", "connections.default.oauth_scope", "Its scopes, with blanks between them."),
    _filed("SLACK_BOT_TOKEN", "slack.bot_token", "Begins with `xoxb-`; switches Slack on."),
    _filed("SLACK_SIGNING_SECRET", "slack.signing_secret", "For Slack over HTTP."),
    _filed("SLACK_APP_TOKEN", "slack.app_token", "Begins with `xapp-`; with it Slack uses Socket Mode."),
    _plain(
        "SLACK_API_URL",
        "slack.api_url",
        f"Slack's Web API; `{SLACK_API_URL}` unless you use GovSlack, or a stand-in on loopback (http too).",
    ),
    _filed("MICROSOFT_APP_ID", "teams.app_id", "Id of the Teams bot; switches Teams on."),
    _filed("MICROSOFT_APP_PASSWORD", "teams.password", "Its client secret."),
    _filed("MICROSOFT_APP_TENANT_ID", "teams.tenant_id", "The tenant that it belongs to."),
    _filed(
        "CELONIS_CHAT_SECRET_KEY",
        "secret_keys",
        f"At least {SHORTEST_SECRET_KEY} random characters; seals the audit log and encrypts what people typed. "
        "Several with commas between them: the first one seals and encrypts, the others check and read older rows.",
    ),
    _filed(
        "DATABASE_URL",
        "database_url",
        f"`sqlite:///…` or `postgresql://…`; `{DEFAULT_DATABASE}` unless told otherwise.",
    ),
)
"""What the environment alone can say. Every setting of the toml can be given there too, see `PREFIX`."""

_ADDRESS = ("url", "team", "cluster")
_SECRET_KEYS = frozenset(
    {
        *("api_key", "api_token", "app_key", "app_password", "app_token", "application_key", "bearer"),
        *("bot_token", "client_id", "client_secret", "key", "oauth_client_id", "oauth_client_secret"),
        *("password", "secret", "secret_key", "signing_secret", "token", "user_key", "write_key"),
    }
    | {each.name.casefold() for each in ENVIRONMENT if each.filed}
)


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
    given = {name: value.strip() for name, value in environ.items() if value.strip()}
    reader = _Reader(given, toml)
    settings = reader.read(need, asks=connections)
    if settings is None or reader.problems:
        raise ConfigError(reader.problems)
    return settings.model_copy(update={"remarks": tuple(reader.remarks(settings, asks=connections))})


def _spelt(place: Loc, said: str = "") -> str:
    """A setting's name as one would look for it in the file: `policy[2].who.slack`, counted from 1."""
    for part in place:
        said += f"[{part}]" if isinstance(part, int) else f".{part}" if said else part
    return said


def _put(tree: dict[str, Any], place: tuple[str, ...], value: Any) -> None:
    """Puts something into a tree; tables are mixed. Where something else than a table is in the way, it stays."""
    first, *rest = place
    if rest or isinstance(value, dict):
        below = tree.setdefault(first, {})
        for key, each in {rest[0]: value}.items() if rest else value.items():
            if isinstance(below, dict):
                _put(below, (key, *rest[1:]), each)
    else:
        tree[first] = value


class _Reader:
    """Reads the settings, and notes what is wrong instead of stopping at it.

    Places are as people count them: the second rule of the policy is `("policy", 2)`.
    """

    def __init__(self, environ: Mapping[str, str], toml: Path | None) -> None:
        self._environ = environ
        self._toml = toml
        self.problems: list[str] = []
        self._reported: set[Loc] = set()
        self._used: set[str] = set()
        self._called: dict[Loc, str] = {}
        """What came from elsewhere than the toml, and what to call it."""
        self._tree: dict[str, Any] = {}

    def read(self, need: Need, *, asks: bool) -> Settings | None:
        """The settings as far as they are right; None where what is wrong cannot be left out."""
        self._tree = tree = self._without_secrets(self._file(self._toml) if self._toml else {}, ())
        self._override()
        connections = tree.setdefault("connections", {})
        tables: dict[str, Any] = connections if isinstance(connections, dict) else {}
        chats = self._environment(tables)
        for name, table in tables.items():
            if isinstance(table, dict):
                table["name"] = Found(name)
                if asks:
                    self._follow(name, table)
        hosts = tree.get("allowed_hosts")
        reading = Reading(
            names=frozenset(tables if asks else (*tables, DEFAULT_CONNECTION)),
            hosts=tuple(
                each
                for each in (hosts if isinstance(hosts, list) else [hosts])
                if isinstance(each, str) and is_host_pattern(each)
            ),
            asks=asks,
            need=need,
            chats=chats,
        )
        return self._validated(reading)

    def _say(self, place: Loc, problem: str) -> None:
        """Notes a problem, without control characters and without what looks like a secret."""
        line = "".join(each if each.isprintable() else " " for each in problem)
        safe = redact(" ".join(line.split()))
        if safe not in self.problems:
            self.problems.append(safe)
        self._reported.add(place)

    # --- the toml, and what the environment puts over it ---

    def _file(self, toml: Path) -> dict[str, Any]:
        try:
            return tomllib.loads(self._text(toml, toml.name, ("toml",)) or "")
        except tomllib.TOMLDecodeError as error:
            where = re.search(r"\(at [^()]*\)\Z", str(error))
            self._say(("toml",), f"{toml.name} is not valid TOML{f' {where.group()}' if where else ''}.")
            return {}

    def _text(self, file: Path, called: str, place: Loc) -> str | None:
        """What a file holds, None where it cannot be read, which is noted."""
        try:
            return file.read_text(encoding="utf-8-sig")
        except OSError as error:
            self._say(place, f"{called} cannot be read ({error.strerror or type(error).__name__}).")
        except UnicodeDecodeError:
            self._say(place, f"{called} is not UTF-8 text; save it as UTF-8.")
        return None

    def _without_secrets(self, value: Any, place: Loc) -> Any:
        """What stands in the file, with literal secrets reported and emptied."""
        match value:
            case dict():
                return {key: self._without_secrets(each, (*place, key)) for key, each in value.items()}
            case list():
                return [self._without_secrets(each, (*place, at)) for at, each in enumerate(value, 1)]
            case str():
                key = str(place[-1])
                named = key.casefold() in _SECRET_KEYS and place[0] not in ("aliases", "synonyms")
                if not named and not looks_secret(value):
                    return value
            case _:
                return value
        instead = "; give it by environment variable or file" if named else ""
        if place[0] == "connections" and key in POINTERS:
            instead = f"; name the environment variable that holds it in {key}_env, or its file in {key}_file"
        self._say(
            place,
            f"{_spelt(place)} holds a secret, which has no place in the toml: take it out, and replace it where it was "
            f"issued{instead}.",
        )
        return ""

    def _override(self) -> None:
        """Puts settings that the environment gives over those of the file."""
        for variable, value in sorted(self._environ.items()):
            place = tuple(variable.upper().removeprefix(PREFIX).lower().split("__"))
            if not variable.upper().startswith(PREFIX) or place[0] not in Settings.written():
                continue
            told: Any = value
            if value[0] in "[{":
                try:
                    told = json.loads(value)
                except ValueError:
                    told = value
            self._called[place] = variable
            _put(self._tree, place, told)

    def _environment(self, tables: dict[str, Any]) -> frozenset[str]:
        """Puts what the environment alone says into the tree; returns the chats that it speaks of."""
        given = [each for each in ENVIRONMENT if self._is_given(each.name)]
        if any(each.place[-1] in _ADDRESS for each in given):
            own = tables.setdefault(DEFAULT_CONNECTION, {})
            for key in _ADDRESS if isinstance(own, dict) else ():
                own.pop(key, None)
        if isinstance(tables.get(DEFAULT_CONNECTION), dict):
            self._point(tables[DEFAULT_CONNECTION])
        slack: dict[str, Any] = {}
        for each in given:
            top, *rest = each.place
            if top == "connections":
                if not each.filed and DEFAULT_CONNECTION in tables:
                    self._called[each.place] = each.name
                    _put(self._tree, each.place, self._environ[each.name])
                continue
            value = self._secret(each.name, each.place) if each.filed else self._environ[each.name]
            if top == "slack":
                slack[rest[0]] = value
            else:
                _put(self._tree, each.place, Found(value))
        if slack.keys() - {"api_url"}:
            self._tree.setdefault("slack", Found(slack))
        return frozenset(each.place[0] for each in given if each.filed) & {"slack", "teams"}

    def _point(self, table: dict[str, Any]) -> None:
        """Lets the default connection find its key or client where the `CELONIS_…` variables say."""
        token, write, *client = POINTERS
        if self._is_given(f"CELONIS_{write.upper()}"):
            table[f"{write}_env"], table[f"{write}_file"] = f"CELONIS_{write.upper()}", ""
        kinds = ([token], client)
        for kind, other in (kinds, kinds[::-1]):
            if any(self._is_given(f"CELONIS_{key.upper()}") for key in kind):
                for key in (*kind, *other):
                    given = self._is_given(f"CELONIS_{key.upper()}")
                    if given or key in other:
                        table[f"{key}_env"] = f"CELONIS_{key.upper()}" if given else ""
                        table[f"{key}_file"] = ""

    # --- secrets ---

    def _is_given(self, variable: str) -> bool:
        return variable in self._environ or f"{variable}_FILE" in self._environ

    def _secret(self, variable: str, place: Loc) -> Secret:
        """A secret from a variable that is given, or from the file that it names with `_FILE`."""
        self._used.add(variable)
        value, file = self._environ.get(variable), self._environ.get(f"{variable}_FILE")
        if file is None:
            return self._checked(Secret(value or "", name=variable), variable, place)
        if value is not None:
            self._say(place, f"{variable} and {variable}_FILE are both set; keep one of them.")
        return self._from_file(Path(file), f"{variable}_FILE", variable, place)

    def _from_file(self, file: Path, setting: str, name: str, place: Loc) -> Secret:
        called = f"The file that {setting} names"
        value = self._text(file, called, place)
        if value is None:
            return Secret("", name=name)
        return self._checked(Secret(value.strip(), name=name, file=file), called, place)

    def _checked(self, secret: Secret, called: str, place: Loc) -> Secret:
        self._called[place] = called
        wrong = secret_fault(secret.reveal(), blanks=place == ("secret_keys",))
        if wrong:
            self._say(place, f"{called} {wrong}.")
        return secret

    def _follow(self, name: str, table: dict[str, Any]) -> None:
        """Puts the key or the client of a connection where its table says where they are."""
        for key, inside in POINTERS.items():
            variable, file = (str(table.get(f"{key}_{how}", "")) for how in ("env", "file"))
            place: Loc = ("connections", name, *inside)
            where = _spelt(("connections", name, key))
            if not variable and not file:
                continue
            secret = Secret("", name=where)
            if file:
                folder = self._toml.parent if self._toml else Path()
                secret = self._from_file(folder / file, f"{where}_file", where, place)
            elif not re.fullmatch("[A-Z][A-Z0-9_]{0,63}", variable):
                self._say(
                    place,
                    f"{where}_env must be the name of an environment variable (capitals, digits, _), not what it holds.",
                )
            elif not self._is_given(variable):
                self._say(place, f"{where}_env names {variable}, which is not set.")
            else:
                secret = self._secret(variable, place)
            if len(inside) == 1:
                table[key] = Found(secret)
            else:
                scope = table.get("oauth_scope")
                client = table.setdefault("oauth", Found({"scope": scope} if isinstance(scope, str) else {}))
                client.value[inside[1]] = secret

    # --- from the tree to the settings ---

    def _validated(self, reading: Reading) -> Settings | None:
        """Every part that is wrong is reported once and left out, until the rest is right."""
        while True:
            try:
                return Settings.model_validate(self._tree, context=reading)
            except ValidationError as error:
                faults = error.errors(include_url=False, include_input=False)
            earlier = frozenset(self._reported)
            places = [tuple(at + 1 if isinstance(at, int) else at for at in each["loc"]) for each in faults]
            for place, each in zip(places, faults, strict=True):
                # What only lacks a part that is wrong itself, now or from before, is not wrong.
                within = {other for other in places if other != place} | earlier
                if not any(other[: len(place)] == place for other in within):
                    self._say(place, self._sentence(place, each["type"], each["msg"], each.get("ctx", {})))
            targets = {self._standing(each["loc"]) for each in faults}
            if () in targets:
                return None
            for *path, last in sorted(targets, reverse=True):
                here: Any = self._tree
                for part in path:
                    here = here[part]
                del here[last]

    def _standing(self, loc: Loc) -> Loc:
        """The part of a place that can be left out: a list goes as a whole, what was found with its table."""
        here: Any = self._tree
        for depth, part in enumerate(loc):
            if not isinstance(here, dict) or part not in here:
                return loc[:depth]
            here = here[part]
            if isinstance(here, Found):
                return loc[:depth] or loc[:1]
        return loc

    def _named(self, place: Loc) -> str:
        """What a setting is called: by the variable, where it comes from the environment or could."""
        for depth in range(len(place), 0, -1):
            if place[:depth] in self._called:
                return _spelt(place[depth:], self._called[place[:depth]])
        variables = [each.name for each in ENVIRONMENT if each.place == place]
        if variables and self._standing(place) != place:
            return variables[0]
        return _spelt(place).replace(".oauth.", ".oauth_client_")

    def _sentence(self, place: Loc, kind: str, message: str, ctx: Mapping[str, Any]) -> str:
        """What pydantic or a table of ours found, for the admin."""
        name = self._named(place)
        match kind:
            case "fault":
                return f"{name}{ctx['said']}"
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
            case _ if kind in _WANTED:
                as_json = " (as JSON)" if kind in _AS_JSON and place in self._called else ""
                return f"{name} must be {_WANTED[kind]}{as_json}."
            case _:
                return f"{name}: {message[:1].lower()}{message[1:]}."

    def remarks(self, settings: Settings, *, asks: bool) -> Iterator[str]:
        """What is not wrong but looks unintended."""
        names = {each.name: each.filed for each in ENVIRONMENT}
        known = {*names, *(f"{name}_FILE" for name, filed in names.items() if filed)}
        for name in sorted(self._environ.keys() - known):
            near = difflib.get_close_matches(name, known - self._environ.keys(), n=1, cutoff=0.9)
            ours = name.startswith(("CELONIS_", "SLACK_", "MICROSOFT_APP_"))
            if ours and near and name.removesuffix("_FILE") not in self._used:
                yield f"{name} means nothing to this program; did you mean {near[0]}?"
        if asks and self._is_given("CELONIS_API_TOKEN") and "CELONIS_API_TOKEN" not in self._used:
            yield "CELONIS_API_TOKEN is set, but no connection uses it."
        for place, rule in enumerate(settings.policy if not settings.members_read else (), 1):
            if not {Right.READ, Right.PUBLIC, Right.MANAGE, Right.ADMIN} & set(rule.may):
                yield (
                    f"policy[{place}] grants {', '.join(rule.may)} without read, and members_read is off: whoever it is "
                    "for sees nothing of it unless another rule lets them read."
                )


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
_AS_JSON = frozenset({"tuple_type", "dict_type", "model_type"})
