"""Every setting does something: each one is read by what it is about."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

import httpx
import pytest
from structlog.testing import capture_logs

from adapters.cli.settings import SANDBOX_MODELS
from bot import config
from bot.celonis import Celonis
from bot.celonis.limits.replicas import slots_of
from bot.config import Limits
from bot.model.clock import SystemClock
from bot.model.names import Name
from bot.model.people import Place, Profile, Standing, Visibility
from bot.policy import Asker, Policy, Right, Touch
from bot.sandbox import Fault
from tests.fake_slack import TEAM, until
from tests.fakes import MemoryLedger
from tests.server.towns import CLERK, OPERATOR, town
from tests.story import StoryClock, someone, stage

EXAMPLE = Path(__file__).parents[2] / "docs" / "celonis-chat.example.toml"
ENVIRON = {
    "CELONIS_API_TOKEN": "made-up-default-key",
    "CELONIS_API_TOKEN_PRODUCTION": "made-up-production-key",
    "CELONIS_WRITE_KEY_PRODUCTION": "made-up-key-for-writes",
    "CELONIS_FINANCE_CLIENT_ID": "made-up-client",
    "SLACK_BOT_TOKEN": "xoxb-made-up",
    "SLACK_SIGNING_SECRET": "made-up-signing-secret",
    "CELONIS_CHAT_SECRET_KEY": "made-up-secret-key-of-enough-length",
}
FOLLOWED = {
    ("Settings", "allowed_hosts"),
    ("Binding", "local"),
    *(("Connection", key) for key in ("team", "cluster", "oauth_scope")),
    *(
        ("Connection", f"{key}_{how}")
        for key in ("api_token", "write_key", "oauth_client_id", "oauth_client_secret")
        for how in ("env", "file")
    ),
}
"""What `load` follows, or checks others by: its own tests say so for each."""
ANSWERS = frozenset({"home", "over_sandbox", "platform", "read_again", "scope", "tail"})
"""What the tables say about themselves to others."""


def sections(kind: Any) -> list[type[config.Section]]:
    """A table of the settings and all tables that can be in it."""
    if isinstance(kind, type) and issubclass(kind, config.Section):
        return [kind, *(each for about in kind.model_fields.values() for each in sections(about.annotation))]
    return [each for arg in get_args(kind) for each in sections(arg)]


@contextmanager
def watching(kinds: list[type[config.Section]], seen: set[tuple[str, str]]) -> Iterator[None]:
    """Notes which attribute of which class is read by code that the class is not for its own sake."""

    def watched(kind: type[config.Section]) -> Callable[[Any, str], Any]:
        def look(self: Any, name: str) -> Any:
            if name in kind.model_fields:
                frame = sys._getframe(1)
                module, where = frame.f_globals.get("__name__", ""), frame.f_code.co_name
                for_itself = module.startswith("bot.config.") and where not in ANSWERS
                if module.startswith(("bot.", "adapters.")) and not for_itself:
                    seen.add((kind.__name__, name))
            return object.__getattribute__(self, name)

        return look

    with pytest.MonkeyPatch.context() as patch:
        for kind in kinds:
            patch.setattr(kind, "__getattribute__", watched(kind), raising=False)
        yield


async def test_every_setting_is_read_by_what_it_is_about(tmp_path: Path) -> None:
    shutil.copy(EXAMPLE, tmp_path / "celonis-chat.toml")
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "finance.client-secret").write_text("made-up-client-secret")
    kinds = [*dict.fromkeys(sections(config.Settings))]
    seen: set[tuple[str, str]] = set()
    with watching(kinds, seen):
        settings = config.load(ENVIRON, tmp_path / "celonis-chat.toml", need=config.Need.SERVING)
        granted = httpx.MockTransport(
            lambda _: httpx.Response(200, json={"access_token": "made-up", "expires_in": 300})
        )
        finance = settings.connections["finance"]
        async with Celonis(
            finance, clock=SystemClock(), ledger=MemoryLedger(SystemClock()), transport=granted
        ) as celonis:
            await celonis.connect()
        policy = Policy(settings)
        asker = Asker(
            someone("U1", home="T0123456"),
            Profile(standing=Standing.MEMBER),
            Place("slack", "T0123456", "C0NIGHT", Visibility.CHANNEL),
        )
        policy.connections(asker.place)
        policy.may(asker, Right.CANCEL, Touch())
        assert policy.second_person([Touch(pool=Name("SAP ECC", "p1"))]) is not None
        teams = config.Teams(app_id="", tenant_id="")
        (fed_by,) = settings.connections["production"].data_models.values()

        def both(serving: config.Settings) -> config.Settings:
            given = {
                name: each.model_copy(
                    update={
                        "permissions": True,
                        "total_retry": 1,
                        "data_models": dict.fromkeys((model for model, _ in SANDBOX_MODELS.values()), fed_by),
                    }
                )
                for name, each in serving.connections.items()
            }
            server = config.Server(port=0, admin_port=0, development=True)
            return serving.model_copy(
                update={
                    "teams": teams,
                    "server": server,
                    "connections": given,
                    "synonyms": {"sandbox": settings.synonyms["production"]},
                    "kpis": settings.kpis,
                    "notify": settings.notify,
                }
            )

        exporting = config.Rule(
            name="export",
            who=config.Who(slack=(f"{TEAM}:{CLERK}", f"{TEAM}:{OPERATOR}")),
            may=(Right.READ, Right.EXPORT, Right.CANCEL),
        )
        async with town(
            changed=both, rules=[exporting], database=f"sqlite:///{tmp_path / 'kept.db'}"
        ) as here:
            here.sandbox.faults.add(Fault(kind="status", status=503, count=1))
            await here.says(CLERK, "C1", "data Materials")
            await here.says(CLERK, "C1", "kpis of Order to Cash")
            await here.says(CLERK, "C1", "export Materials")
            await here.says(OPERATOR, "C1", "cancel main job")
            await here.says(OPERATOR, "C1", "watch main job")
            here.clock.pass_by(120)
            await until(lambda: ("Watching", "quiet") in seen)
    every = {(kind.__name__, key) for kind in kinds for key in kind.model_fields}
    nobody_reads = every - FOLLOWED - seen
    assert not nobody_reads, "\n".join(map(str, sorted(nobody_reads)))


@pytest.mark.parametrize("read", [True, False])
async def test_permissions_decides_whether_the_grants_of_the_key_are_read_at_start(*, read: bool) -> None:
    def told(settings: config.Settings) -> config.Settings:
        return settings.model_copy(
            update={
                "connections": {
                    name: each.model_copy(update={"permissions": read})
                    for name, each in settings.connections.items()
                }
            }
        )

    async with town(changed=told) as here:
        await here.says(CLERK, "C1", "models")
        asked = [each.path for each in here.sandbox.log if each.path == "/api/cloud/permissions"]
    assert len(asked) == read


@pytest.mark.parametrize(
    ("limits", "refusal"),
    [
        (Limits(per_day=100, person_share=0.01), "You have used up the share of today's calls."),
        (Limits(per_day=100, place_share=0.01), "This place has used up the share of today's calls."),
    ],
)
async def test_a_person_and_a_place_have_the_share_that_is_set(limits: Limits, refusal: str) -> None:
    async with stage(clock=StoryClock(pace=1.0), connection={"limits": limits}) as scene:
        await scene.says("models")
        card = await scene.says('kpis of "Order to Cash"')
        assert card.headline == refusal


def test_the_slots_kept_for_one_shot_commands_are_those_that_are_set() -> None:
    assert slots_of(Limits(per_second=20, guest_slots=7), 2, -1) == 7


async def test_what_looks_unintended_is_said_at_start() -> None:
    remark = "SLACK_BOT_TOKN means nothing to this program; did you mean SLACK_BOT_TOKEN?"
    with capture_logs() as entries:
        async with town(changed=lambda settings: settings.model_copy(update={"remarks": (remark,)})):
            pass
    assert [each["remark"] for each in entries if "remark" in each] == [remark]
