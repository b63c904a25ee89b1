"""The address of a Celonis team, from whatever a person pasted; and nothing that only looks like one."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from typing import NoReturn
from urllib.parse import urlsplit

from bot.model.errors import ConfigError

CELONIS_DOMAIN = ".celonis.cloud"
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\Z")
_CLUSTER = re.compile(r"(?:[a-z]{2}-\d+|training|try)\Z")
_NO_TEAM = frozenset({"www", "docs", "developer", "login", "community", "academy", "status"})
_LONGEST_HOST = 253
_HTTPS_PORT = 443
_LAST_PORT = 65_535
_ADDRESS_EXAMPLE = "https://<team>.<cluster>.celonis.cloud"


def is_loopback(host: str) -> bool:
    """Whether a host name or address can only be this machine."""
    if host.casefold() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def is_network(text: str) -> bool:
    """Whether a text is an IP address or a network such as 10.0.0.0/8."""
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return True


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
    if any(host_matches(host, port, each) for each in allowed_hosts):
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


def host_matches(host: str, port: int | None, allowed: str) -> bool:
    """Whether a host (lower case) and port are what a pattern such as `*.example.com` or `example.com:8443` means."""
    name, _, number = allowed.casefold().partition(":")
    if (port or _HTTPS_PORT) != int(number or _HTTPS_PORT):
        return False
    return host.endswith(name[1:]) if name.startswith("*.") else host == name


def https_or_loopback(url: str) -> bool:
    """Whether an address is https, or http on this machine, and carries no user name."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    if "@" in parts.netloc or not host:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))


def is_label(text: str) -> bool:
    """Whether a text can be one part of a host name."""
    return bool(_LABEL.match(text))


def is_host_pattern(text: str) -> bool:
    """Whether a text can stand in `allowed_hosts`."""
    name, _, port = text.casefold().removeprefix("*.").partition(":")
    fine_port = not port or (port.isascii() and port.isdecimal() and 0 < int(port) <= _LAST_PORT)
    return fine_port and "." in name and len(name) <= _LONGEST_HOST and all(map(is_label, name.split(".")))
