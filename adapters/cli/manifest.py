"""`celonis-chat manifest`: what Slack and Teams want to know of the app before it is installed."""

from __future__ import annotations

from pathlib import Path

import click

from bot.model.errors import ConfigError


@click.group()
def manifest() -> None:
    """What Slack and Teams want to know of the app before it is installed."""


@manifest.command("slack")
@click.option("--host", default="", help="Public host name of the bot; not needed with --socket-mode.")
@click.option("--socket-mode", is_flag=True, help="The bot opens a socket to Slack; no public address.")
@click.option("--groups", is_flag=True, help="Also ask for what rules about Slack user groups need.")
def slack_manifest(host: str, socket_mode: bool, groups: bool) -> None:  # noqa: FBT001 - click hands them over by name
    """Print the Slack app manifest."""
    from adapters.slack.manifest import as_text
    from adapters.slack.manifest import manifest as made

    try:
        click.echo(as_text(made(host, socket_mode=socket_mode, groups=groups)), nl=False)
    except ConfigError as error:
        raise click.UsageError("; ".join(error.problems)) from error


@manifest.command("teams")
@click.option("--app-id", required=True, help="The bot's Microsoft app id.")
@click.option("--host", required=True, help="Public host name of the bot.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("celonis-chat-teams.zip"),
    show_default=True,
    help="Where the zip file goes.",
)
def teams_manifest(app_id: str, host: str, out: Path) -> None:
    """Write the Teams app package."""
    from adapters.teams.manifest import teams_package

    try:
        out.write_bytes(teams_package(app_id, host))
    except ConfigError as error:
        raise click.UsageError("; ".join(error.problems)) from error
    click.echo(f"Written: {out}")
