"""Settings as the command line finds them, and the sandbox that may stand in for Celonis."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import click

from bot import config
from bot.model.errors import ConfigError

if TYPE_CHECKING:
    from bot.sandbox import Sandbox

SETTINGS_FILE = "celonis-chat.toml"
SANDBOX_MODELS = {
    "Order to Cash": ("order-to-cash.order-to-cash-km", "ORDERS.order_date"),
    "Accounts Payable": ("accounts-payable.accounts-payable-km", "INVOICES.posting_date"),
    "Procurement": ("open-purchase-requisition.purchase-requisition-km", "EVENTS.event_day"),
}
"""Data models of the sandbox: the knowledge model that each feeds, and the date that is meant there."""


@dataclass(frozen=True, slots=True)
class StandIn:
    """What stands in for Celonis.

    Attributes:
        url: Of a sandbox that runs; empty means an embedded one.
        forced: Whether it may even where real chat tokens are configured.
        data: The folder with the team of an embedded one; else the made-up team that comes along.
    """

    url: str
    forced: bool
    data: Path | None = None


with_settings = click.option(
    "--settings",
    "toml",
    type=click.Path(path_type=Path),
    default=None,
    help=f"Settings file; else {SETTINGS_FILE} here, where there is one.",
)


with_data = click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=None,
    metavar="FOLDER",
    help="Serve the team of this folder in place of the one that comes along; shaped like bot/sandbox/data.",
)


def over_a_sandbox(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command `sandbox: StandIn | None`, from the options that `ask` and `serve` have alike."""

    @click.option("--sandbox", "embedded", is_flag=True, help="An embedded sandbox stands in for Celonis.")
    @click.option(
        "--sandbox-url",
        "url",
        default="",
        metavar="URL",
        help="The sandbox at this address does (celonis-chat sandbox).",
    )
    @click.option("--force", is_flag=True, help="Use the sandbox even where real chat tokens are configured.")
    @with_data
    @wraps(command)
    def wrapped(*, embedded: bool, url: str, force: bool, data: Path | None, **told: Any) -> None:
        if embedded and url:
            raise click.UsageError("Give either --sandbox or --sandbox-url.")
        if force and not embedded and not url:
            raise click.UsageError("--force is about --sandbox or --sandbox-url; give one of them.")
        if data is not None and not embedded:
            raise click.UsageError("--data is about --sandbox; give that, too.")
        command(sandbox=StandIn(url, forced=force, data=data) if embedded or url else None, **told)

    return wrapped


def loaded(toml: Path | None, *, need: config.Need, connections: bool = True) -> config.Settings:
    """The settings of the environment and of the file, if there is one."""
    file = toml or (Path(SETTINGS_FILE) if Path(SETTINGS_FILE).exists() else None)
    environ = os.environ  # noqa: TID251 - the one place that hands the environment over
    return config.load(environ, file, need=need, connections=connections)


@asynccontextmanager
async def over(
    settings: config.Settings, stand_in: StandIn, key: str = "operator"
) -> AsyncIterator[config.Settings]:
    """The settings with a sandbox in place of every Celonis team."""
    from adapters.server import over_sandbox

    # Every sandbox has the same keys and ids, so one that never starts knows those of another.
    alike = sandbox_of(stand_in.data)
    async with AsyncExitStack() as stack:
        if not stand_in.url:
            await stack.enter_async_context(alike)
        url, secret = stand_in.url or alike.url, _sandbox_key(key, alike.keys)
        yield over_sandbox(
            settings, url, secret, data_models=sandbox_data_models(alike), forced=stand_in.forced
        )


def sandbox_of(data: Path | None, port: int = 0) -> Sandbox:
    """A sandbox over the team of a folder, or over the one that comes along; a broken folder is a sentence."""
    from bot.sandbox import BrokenData, Sandbox, SandboxOptions

    options = SandboxOptions(port=port)
    try:
        return Sandbox(options if data is None else replace(options, data=data.resolve()))
    except BrokenData as error:
        raise click.UsageError(f"The data cannot be served: {error}") from None


def with_zone(settings: config.Settings) -> config.Settings:
    if settings.zone:
        return settings
    zone = machine_zone()
    click.echo(f"No zone is set, so times are those of this machine: {zone}.", err=True)
    return settings.model_copy(update={"zone": zone})


def sandbox_data_models(sandbox: Any) -> dict[str, config.DataModelRef]:
    """Which data models feed the sandbox's knowledge models, so that its answers have a load time."""
    return {
        SANDBOX_MODELS[each.name][0]: config.DataModelRef(
            pool=pool.id, data_model=each.id, date_field=SANDBOX_MODELS[each.name][1]
        )
        for pool in sandbox.pools
        for each in pool.data_models
        if each.name in SANDBOX_MODELS
    }


def _sandbox_key(name: str, keys: Any) -> str:
    found = {each.name: each.secret for each in keys if each.kind != "oauth"}
    if name not in found:
        raise ConfigError([f"The sandbox has no key called {name}; it has {', '.join(found)}."])
    secret: str = found[name]
    return secret


def machine_zone() -> str:
    """The IANA name of this machine's time zone; UTC where the machine does not tell one."""
    candidates = [os.environ.get("TZ", "")]  # noqa: TID251 - the machine's own setting, not one of ours
    link = Path("/etc/localtime")
    if link.is_symlink():
        candidates.append(str(link.resolve()).partition("zoneinfo/")[2])
    timezone = Path("/etc/timezone")
    if timezone.is_file():
        candidates.append(timezone.read_text(encoding="utf-8").strip())
    for name in candidates:
        try:
            ZoneInfo(name)
        except (ValueError, OSError, KeyError):
            continue
        if name:
            return name
    return "UTC"
