"""Every kind of identity, and what the admin is told when it is the wrong one."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.celonis import Identity
from bot.config import KeyType, Secret
from bot.model.errors import Forbidden, Unauthorized
from tests.celonis.conftest import Bench, oauth_client


@pytest.mark.parametrize(("name", "identity"), [("user", Identity.USER), ("reader", Identity.APPLICATION)])
async def test_the_kind_of_a_key_is_found_out(bench: Bench, name: str, identity: Identity) -> None:
    key = getattr(bench.sandbox.keys, name)
    celonis = await bench.client(key, key_type=None)
    info = await celonis.connect()
    assert info.identity is identity
    assert info.tail == f"…{key.secret[-4:]}"
    assert (info.email != "") == (identity is Identity.USER)
    assert len(await bench.ask(celonis).knowledge_models()) > 1
    assert info.sentence in {"application key", f"user key of {info.email}"}


async def test_a_key_of_unknown_kind_works_without_the_check_at_start(bench: Bench) -> None:
    key = bench.sandbox.keys.user
    celonis = await bench.client(key, key_type=None)
    assert len(await bench.ask(celonis).knowledge_models()) > 1
    assert celonis._client.key().identity is Identity.USER
    assert len(bench.sandbox.log) == 2, "one call as an application key, one as a user key"


@pytest.mark.parametrize(
    ("name", "wrong", "said"),
    [("reader", KeyType.USER_KEY, "application key"), ("user", KeyType.APP_KEY, "user key")],
)
async def test_a_key_set_as_the_wrong_kind_is_named_for_what_it_is(
    bench: Bench, name: str, wrong: KeyType, said: str
) -> None:
    key = getattr(bench.sandbox.keys, name)
    celonis = await bench.client(key, key_type=wrong)
    with pytest.raises(Unauthorized) as error:
        await celonis.connect()
    assert f" {said}, but is set as" in error.value.sentence
    assert str(wrong.other) in error.value.hint


async def test_a_key_that_nobody_knows_is_refused_in_both_kinds_and_not_shown(bench: Bench) -> None:
    secret = "bm9ib2R5LWtub3dzLXRoaXMta2V5LWF0LWFsbC1hbmQtdGhhdC1pcy1nb29k"
    celonis = await bench.client(bench.sandbox.keys.user, api_token=Secret(secret), key_type=None)
    with pytest.raises(Unauthorized) as error:
        await celonis.connect()
    assert secret not in str(error.value) + error.value.hint
    assert secret not in repr(celonis.connection) + repr(celonis._client.key())
    assert "key" in error.value.hint


async def test_a_key_in_a_file_is_read_again_after_it_was_refused(bench: Bench, tmp_path: Path) -> None:
    keys = bench.sandbox.keys
    file = tmp_path / "key"
    file.write_text(keys.reader.secret)
    celonis = await bench.client(keys.reader, api_token=Secret("an-old-key", file=file))
    assert len(await bench.ask(celonis).knowledge_models()) > 1
    assert [entry.status for entry in bench.sandbox.log] == [401, 200]


async def test_an_oauth_client_asks_for_a_token_once_and_again_only_after_a_401(bench: Bench) -> None:
    oauth = bench.sandbox.keys.oauth
    celonis = await bench.client(oauth, **oauth_client(oauth))
    info = await celonis.connect()
    assert info.identity is Identity.OAUTH
    await bench.ask(celonis).knowledge_models()
    await bench.ask(celonis).pools()
    assert len(bench.sandbox.log.where(path="/oauth2/token")) == 1
    bench.sandbox.tokens.revoke()
    await bench.ask(celonis, fresh=True).pools()
    assert len(bench.sandbox.log.where(path="/oauth2/token")) == 2


async def test_a_token_is_renewed_before_it_ends(bench: Bench) -> None:
    bench.sandbox.switches.update({"token_seconds": 61})
    oauth = bench.sandbox.keys.oauth
    celonis = await bench.client(oauth, **oauth_client(oauth))
    await bench.ask(celonis).pools()
    auth = celonis._client.auth
    assert auth._token is not None
    left = auth._token.good_until - bench.clock.monotonic()
    assert 20 < left < 31, "half of its life, where a minute would be nearly all of it"


async def test_an_oauth_client_without_its_scope_is_told_to_check_it(bench: Bench) -> None:
    oauth = bench.sandbox.keys.oauth
    celonis = await bench.client(oauth, **oauth_client(oauth, "no.such.scope"))
    with pytest.raises(Unauthorized) as error:
        await celonis.connect()
    assert "scope" in error.value.hint
    assert oauth.secret not in str(error.value) + error.value.hint


async def test_a_missing_grant_names_it_and_a_team_without_the_api_names_the_account_team(
    bench: Bench,
) -> None:
    keys = bench.sandbox.keys
    with pytest.raises(Forbidden) as forbidden:
        await (await bench.asking(keys.powerless)).records(
            "open-purchase-requisition.purchase-requisition-km"
        )
    assert "USE PACKAGE" in forbidden.value.hint
    with pytest.raises(Forbidden) as disabled:
        await (await bench.asking(keys.disabled)).knowledge_models()
    assert "account team" in disabled.value.hint


async def test_lists_of_a_powerless_key_are_empty(bench: Bench) -> None:
    asking = await bench.asking(bench.sandbox.keys.powerless)
    assert await asking.knowledge_models() == ()
    assert await asking.pools() == ()


async def test_permissions_are_read_service_by_service(bench: Bench) -> None:
    grants = await (await bench.asking(bench.sandbox.keys.operator)).permissions()
    granted = {each.service_name: each.permissions for each in grants}
    assert "EDIT_ALL_SPACES" in granted["package-manager"]
    assert granted["team"] == ()
