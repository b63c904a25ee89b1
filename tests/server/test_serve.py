"""The server: what it starts, what it says of itself, and how it ends."""

from __future__ import annotations

import asyncio
import gc
import json
import secrets
import signal
import sys
from pathlib import Path

import aiohttp
import pytest
import structlog

from adapters import server as serve
from adapters.server import over_sandbox, running
from bot import config
from bot.model.errors import ConfigError
from bot.sandbox import Fault, Sandbox
from bot.store import Store
from tests.fake_slack import SECRET, TEAM, TOKEN, FakeSlack, until
from tests.fake_slack import Fault as SlackFault
from tests.server.towns import CLERK, OPERATOR, town
from tests.slack.worlds import QuickClock
from tests.store.databases import execute, nowhere

PROJECT = Path(__file__).parents[2]


async def fetched(url: str, method: str = "GET") -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.request(method, url) as answer:
        return answer.status, await answer.text()


async def test_health_is_public_and_everything_else_is_not() -> None:
    async with town() as here:
        (copy,) = here.copies
        assert await fetched(f"{copy.address}/healthz") == (200, "ok")
        for path in ("/readyz", "/metrics", "/", "/slack/events"):
            assert (await fetched(f"{copy.address}{path}"))[0] in (404, 405)
        assert (await fetched(f"{copy.admin}/slack/events", "POST"))[0] == 404


async def test_readiness_names_store_platforms_and_celonis_without_asking_it() -> None:
    async with town() as here:
        before = here.calls
        status, said = await fetched(f"{here.copies[0].admin}/readyz")
        assert (status, json.loads(said)["ready"]) == (200, True)
        assert json.loads(said)["celonis"] == {"sandbox": "ok"}
        assert json.loads(said)["platforms"] == {"slack": "ok"}
        assert here.calls == before


async def test_celonis_that_is_down_is_reported_and_people_still_get_a_sentence() -> None:
    async with town() as here:
        here.sandbox.faults.add(Fault(kind="status", status=503))
        seen = await here.says(CLERK, "C1", "models")
        assert "(only you)" in seen
        status, said = await fetched(f"{here.copies[0].admin}/readyz")
        assert (status, json.loads(said)["celonis"]) == (200, {"sandbox": "no answer"})


async def test_without_its_database_or_slack_the_server_is_not_ready() -> None:
    async with town() as here:
        (copy,) = here.copies
        store = copy.built.store
        there, store._database = store._database, nowhere()
        status, said = await fetched(f"{copy.admin}/readyz")
        assert (status, json.loads(said)["store"]) == (503, "no answer")
        store._database = there
        here.listener()._chat._identity = None
        status, said = await fetched(f"{copy.admin}/readyz")
        assert (status, json.loads(said)["platforms"]) == (503, {"slack": "no answer"})


async def test_metrics_count_answers_refusals_and_calls() -> None:
    async with town() as here:
        await here.says(CLERK, "C1", "models")
        await here.slack.post(b"{}", "application/json", headers={})
        before = here.calls
        _, text = await fetched(f"{here.copies[0].admin}/metrics")
        assert 'celonis_chat_requests_total{outcome="answered",platform="slack"} 1.0' in text
        assert 'celonis_chat_refused_requests_total{platform="slack",reason="no timestamp"} 1.0' in text
        assert 'celonis_chat_answer_seconds_count{platform="slack"} 1.0' in text
        assert 'celonis_chat_calls_used{connection="sandbox",family="intelligence"} 1.0' in text
        assert "celonis_chat_calls_left" in text
        assert 'celonis_chat_paused_seconds{connection="sandbox",family="integration"} 0.0' in text
        assert "U1" not in text
        assert here.calls == before


async def test_wiping_the_audit_log_shows_and_nothing_is_stopped_until_somebody_has_looked() -> None:
    async with town() as here:
        (copy,) = here.copies
        built = copy.built
        message = await here.asks()
        _, text = await fetched(f"{copy.admin}/metrics")
        assert "celonis_chat_audit_head 1.0" in text
        await execute(
            built.store,
            "DROP TRIGGER audit_rows_kept_delete",
            "DELETE FROM audit_rows",
            "DELETE FROM audit_head",
        )
        with structlog.testing.capture_logs() as lines:
            _, text = await fetched(f"{copy.admin}/metrics")
            assert "celonis_chat_audit_head 0.0" in text
            await here.presses(OPERATOR, message, "Stop this job")
        told = [line for line in lines if line["event"] == "audit log was cut or put back"]
        assert len(told) > 1
        assert all(line["seen"].startswith("1:") and line["head"] == "0:" for line in told)
        assert "audit log is not as this program left it" in repr(here.slack.visible(OPERATOR, "C1"))
        assert "(only you)" in await here.says(CLERK, "C1", "models")
        assert here.cancels() == []


async def test_a_log_that_was_written_with_another_key_stops_the_start(tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path / 'celonis-chat.db'}"
    async with town(database=database) as here:
        await here.asks()

    def changed(settings: config.Settings) -> config.Settings:
        return settings.model_copy(update={"secret_keys": (config.Secret("another one - " * 3),)})

    with pytest.raises(ConfigError, match="CELONIS_CHAT_SECRET_KEY does not hold the key"):
        async with town(database=database, changed=changed):
            pass


async def test_a_token_that_slack_does_not_know_stops_the_start() -> None:
    clock = QuickClock()
    async with FakeSlack(clock) as slack, await Store.temporary(clock) as store, Sandbox() as sandbox:
        slack.token_valid = False
        server = running(_settings(sandbox, slack), store=store, clock=clock)
        with pytest.raises(ConfigError, match="does not accept the bot's token"):
            await server.__aenter__()


async def test_slack_that_is_away_at_start_is_no_reason_not_to_start() -> None:
    clock = QuickClock()
    async with FakeSlack(clock) as slack, await Store.temporary(clock) as store, Sandbox() as sandbox:
        slack.fail("auth.test", *(SlackFault(status=503) for _ in range(4)))
        async with running(_settings(sandbox, slack), store=store, clock=clock) as server:
            assert (await fetched(f"{server.admin}/readyz"))[0] == 503
            assert (await fetched(f"{server.address}/healthz"))[0] == 200


def _settings(sandbox: Sandbox, slack: FakeSlack) -> config.Settings:
    demo = config.Settings.for_demo(
        sandbox.url, sandbox.keys.operator.secret, zone="Europe/Berlin", secret_key=secrets.token_hex(32)
    )
    return demo.model_copy(
        update={
            "bindings": (config.Binding(slack=TEAM, connections=tuple(demo.connections)),),
            "server": config.Server(port=0, admin_port=0),
            "slack": config.Slack(
                bot_token=config.Secret(TOKEN), signing_secret=config.Secret(SECRET), api_url=slack.url
            ),
        }
    )


async def test_a_port_that_is_taken_is_a_sentence() -> None:
    async with town() as here:
        port = int(here.copies[0].address.rpartition(":")[2])
        taken = here.settings.model_copy(update={"server": config.Server(port=port, admin_port=0)})
        clock = QuickClock()
        async with await Store.temporary(clock) as store:
            with pytest.raises(ConfigError, match=f"Nothing can listen on 127.0.0.1:{port}"):
                async with running(taken, store=store, clock=clock):
                    pass


async def test_without_any_platform_nothing_is_served() -> None:
    async with town() as here:
        clock = QuickClock()
        async with await Store.temporary(clock) as store:
            with pytest.raises(ConfigError, match="No chat platform is configured"):
                async with running(
                    here.settings.model_copy(update={"slack": None}), store=store, clock=clock
                ):
                    pass


@pytest.mark.parametrize(
    ("host", "development"),
    [("127.0.0.1", False), ("0.0.0.0", False), ("0.0.0.0", True)],  # noqa: S104 - what is refused
)
async def test_teams_without_an_app_id_is_refused_unless_in_development_on_this_machine(
    host: str, *, development: bool
) -> None:
    async with town() as here:
        clock = QuickClock()
        settings = here.settings.model_copy(
            update={
                "slack": None,
                "teams": config.Teams(app_id="", tenant_id=""),
                "server": config.Server(host=host, port=0, admin_port=0, development=development),
            }
        )
        async with await Store.temporary(clock) as store:
            with pytest.raises(ConfigError, match="would take messages from anybody"):
                async with running(settings, store=store, clock=clock):
                    pass


async def test_unsigned_messages_are_for_a_sandbox_alone_and_said_out_loud() -> None:
    async with town() as here:
        (name, connection) = next(iter(here.settings.connections.items()))
        real = connection.model_copy(update={"name": "real", "sandbox": False})
        unsigned = here.settings.model_copy(
            update={
                "slack": None,
                "teams": config.Teams(app_id="", tenant_id=""),
                "server": config.Server(port=0, admin_port=0, development=True),
            }
        )
        mixed = unsigned.model_copy(update={"connections": {name: connection, "real": real}})
        clock = QuickClock()
        async with await Store.temporary(clock) as store:
            with pytest.raises(ConfigError, match=r"act in a real Celonis team \(real\)"):
                async with running(mixed, store=store, clock=clock):
                    pass
            with structlog.testing.capture_logs() as logs:
                async with running(unsigned, store=store, clock=clock):
                    pass
    warnings = [each for each in logs if each["log_level"] == "warning"]
    assert any("CAN SPEAK AS ANYBODY" in each["event"] for each in warnings)
    assert not any("admin_host" in each for each in warnings)


async def test_a_public_admin_port_is_warned_of() -> None:
    def public(settings: config.Settings) -> config.Settings:
        everywhere = settings.server.model_copy(update={"admin_host": "0.0.0.0"})  # noqa: S104 - what is warned of
        return settings.model_copy(update={"server": everywhere})

    with structlog.testing.capture_logs() as logs:
        async with town(changed=public):
            pass
    assert [each["log_level"] for each in logs if "admin_host" in each] == ["warning"]


async def test_real_people_get_made_up_answers_only_when_somebody_insists() -> None:
    async with town() as here:
        real = here.settings.model_copy(
            update={
                "slack": config.Slack(bot_token=config.Secret(TOKEN), signing_secret=config.Secret(SECRET))
            }
        )
        url, key = here.sandbox.url, here.sandbox.keys.operator.secret
        with pytest.raises(ConfigError, match="made up; add --force"):
            over_sandbox(real, url, key)
        government = real.model_copy(
            update={
                "slack": config.Slack(
                    bot_token=config.Secret(TOKEN),
                    signing_secret=config.Secret(SECRET),
                    api_url="https://slack-gov.com/api/",
                )
            }
        )
        with pytest.raises(ConfigError, match="made up; add --force"):
            over_sandbox(government, url, key)
        assert over_sandbox(real, url, key, forced=True).connections["sandbox"].sandbox
        assert over_sandbox(here.settings, url, key).connections["sandbox"].sandbox


async def test_a_failure_of_ours_is_no_500() -> None:
    async with town() as here:
        (copy,) = here.copies
        copy.built.celonis["broken"] = None  # type: ignore[index] # broken on purpose
        status, text = await fetched(f"{copy.admin}/readyz")
        assert (status, text) == (503, "unavailable")
        del copy.built.celonis["broken"]  # type: ignore[attr-defined] # as above


# --- as a program ---

PROGRAM = """
import asyncio, os, sys
from adapters.logs import configure
from adapters.server import over_sandbox, serve
from bot import config
from bot.sandbox import Sandbox

async def main():
    async with Sandbox() as sandbox:
        settings = config.load(os.environ, None, need=config.Need.SERVING)
        settings = over_sandbox(settings, sandbox.url, sandbox.keys.operator.secret)
        await serve(settings, ready=lambda server: print(server.address, server.admin, flush=True))
        print("cancels", sum(each.path.endswith("/cancel") for each in sandbox.log), flush=True)

configure(as_json=True)
asyncio.run(main())
heavy = sorted(name for name in ("botbuilder", "botframework", "msal") if name in sys.modules)
print("imported", heavy, flush=True)
"""


async def test_sigterm_lets_answers_finish_and_ends_with_zero(tmp_path: Path) -> None:
    async with FakeSlack() as slack:
        environment = {
            "SLACK_BOT_TOKEN": TOKEN,
            "SLACK_SIGNING_SECRET": SECRET,
            "SLACK_API_URL": slack.url,
            "CELONIS_CHAT_SECRET_KEY": secrets.token_hex(32),
            "CELONIS_URL": "https://made-up.eu-1.celonis.cloud",
            "CELONIS_API_TOKEN": "a-made-up-key",
            "CELONIS_CHAT_ZONE": "Europe/Berlin",
            "CELONIS_CHAT_SERVER__PORT": "0",
            "CELONIS_CHAT_SERVER__ADMIN_PORT": "0",
            "CELONIS_CHAT_BINDINGS": json.dumps([{"slack": TEAM, "connections": ["default"]}]),
            "CELONIS_CHAT_POLICY": json.dumps(
                [
                    {"who": {"slack": [f"{TEAM}:{OPERATOR}"]}, "may": ["cancel"]},
                    {"who": {"places": [f"slack:{TEAM}:C1"]}, "may": ["public"], "external": True},
                ]
            ),
            "DATABASE_URL": f"sqlite:///{tmp_path / 'celonis-chat.db'}",
            "PYTHONPATH": str(PROJECT),
        }
        program = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            PROGRAM,
            env=environment,
            cwd=tmp_path,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            assert program.stdout is not None
            assert program.stderr is not None
            line = (await asyncio.wait_for(program.stdout.readline(), 30)).decode()
            assert line, (await program.stderr.read()).decode()
            address, _ = line.split()
            slack.target = f"{address}/slack/events"
            await slack.mention(OPERATOR, "C1", "stop main job pls")
            # On a slow machine a sign of work stands there first, and the question takes its place.
            await until(lambda: any("Stop this job" in each.shown for each in slack.visible(CLERK, "C1")), 10)
            (question,) = slack.visible(CLERK, "C1")
            await slack.press(OPERATOR, question, "Stop this job")
            program.send_signal(signal.SIGTERM)
            said, errors = await asyncio.wait_for(program.communicate(), 40)
        finally:
            if program.returncode is None:
                program.kill()
                await program.wait()
        assert program.returncode == 0, errors.decode()
        assert said.decode().splitlines() == ["cancels 1", "imported []"], errors.decode()
        assert "STOPPED" in question.shown, "the answer in the making was given before the end"
        for written in errors.decode().splitlines():
            json.loads(written)
        assert TOKEN not in errors.decode()
        assert SECRET not in errors.decode()


def test_what_is_there_after_the_start_is_not_looked_through_for_garbage_again() -> None:
    before = gc.get_threshold(), gc.get_freeze_count()
    with serve._garbage_frozen():
        assert gc.get_threshold() == serve.COLLECT_AFTER
        assert gc.get_freeze_count() > before[1]
    assert (gc.get_threshold(), gc.get_freeze_count()) == before
