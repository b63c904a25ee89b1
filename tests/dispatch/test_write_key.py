"""What was confirmed goes with a key of its own, where there is one; the reading key needs no right to change anything."""

from __future__ import annotations

from bot.config import Secret
from tests.story import Stage, stage

STOP = 'cancel "main job" in "SAP ECC"'


async def confirmed(scene: Stage) -> str:
    card = await scene.says(STOP)
    last = await scene.presses(card, "stop")
    return repr(last)


async def test_the_call_goes_with_the_key_for_writes_and_all_reads_with_the_other() -> None:
    async with stage() as other:
        secret = other.sandbox.keys.operator.secret
    own = {"write_key": Secret(secret, name="write key")}
    async with stage(key="viewer", connection=own) as scene:
        await confirmed(scene)
        assert len(scene.cancels()) == 1
        (call,) = [each for each in scene.sandbox.log if each.path.endswith("/cancel")]
        assert (call.key, call.status) == ("operator", 200)
        others = {
            each.key for each in scene.sandbox.log if each is not call and each.path != "/api/cloud/team"
        }
        assert others == {"viewer"}


async def test_without_it_the_one_key_sends_it_as_before() -> None:
    async with stage() as scene:
        await confirmed(scene)
        assert {each.key for each in scene.sandbox.log} == {"operator"}


async def test_a_key_for_writes_that_is_not_accepted_is_named_and_nothing_is_sent() -> None:
    own = {"write_key": Secret("a-key-for-writes-of-nobody-at-all", name="write key")}
    async with stage(connection=own) as scene:
        last = await confirmed(scene)
        assert "does not accept the bot's key for writes" in last
        assert scene.cancels() == []
        assert "key-for-writes-of-nobody" not in last


async def test_the_key_for_writes_is_tried_at_start_without_writing() -> None:
    async with stage() as other:
        secret = other.sandbox.keys.user.secret
    async with stage(connection={"write_key": Secret(secret, name="write key")}) as scene:
        await scene.built.celonis["sandbox"].try_write_key()
        assert {each.method for each in scene.sandbox.log} == {"GET"}
        assert [each.key for each in scene.sandbox.log if each.status == 200] == ["user"]
