"""All reads against the sandbox: what comes back, what it costs, and every way in which it can go wrong."""

from __future__ import annotations

import json
import logging
from typing import Any

import httpx
import pytest

from bot.celonis import Celonis, DataQuery, Lane
from bot.celonis.errors import foreign, payload, refusal
from bot.celonis.request import Family
from bot.config import Connection, Limits, Secret
from bot.model.clock import SystemClock
from bot.model.errors import (
    BadArgument,
    BadQuery,
    BotError,
    CelonisError,
    Forbidden,
    NotFound,
    RateLimited,
    ServerFault,
    Unauthorized,
    UnexpectedReply,
    Unreachable,
    Who,
)
from bot.sandbox import Fault
from tests.celonis.conftest import WIDE, Bench, oauth_client
from tests.fakes import MemoryLedger

KM = "open-purchase-requisition.purchase-requisition-km"
CONNECTION = Connection(name="dev", url="https://dev.eu-1.celonis.cloud", api_token=Secret("k" * 40))


# --- what comes back


async def test_a_knowledge_model_is_read_with_everything_in_it(bench: Bench) -> None:
    asking = await bench.asking(bench.sandbox.keys.reader)
    models = {each.id: each for each in await asking.knowledge_models()}
    assert models[KM].name == "Purchase Requisition KM"
    assert (await asking.knowledge_model(KM)).extended_km_id.endswith("-base")
    assert "MATERIALS" in {each.id for each in await asking.records(KM)}
    record = await asking.record(KM, "MATERIALS")
    assert {"material_name", "payment_amount"} <= {each.id for each in record.fields}
    assert {each.id for each in await asking.filters(KM)}
    assert {each.id for each in await asking.kpis(KM)}
    assert {each.id for each in await asking.triggers(KM)}
    assert (asking.caller.usage.calls.total(), asking.cached) == (7, False)


async def test_data_by_get_and_by_post_is_the_same(bench: Bench) -> None:
    asking = await bench.asking(bench.sandbox.keys.reader)
    fields = ("material_name", "material_group", "payment_amount")
    short = DataQuery(
        fields=fields, expressions=("payment_amount gt 1000",), sort=(("payment_amount", True),)
    )
    by_get = await asking.record_data(KM, "MATERIALS", short)
    padding = " or ".join(["payment_amount gt 1000"] * 90)
    by_post = await asking.record_data(
        KM, "MATERIALS", DataQuery(fields=fields, expressions=(padding,), sort=short.sort)
    )
    assert [entry.method for entry in bench.sandbox.log] == ["GET", "POST"]
    assert by_get.rows == by_post.rows
    assert by_get.rows
    assert [each.id for each in by_get.headers] == list(fields)
    amounts = [row["payment_amount"] for row in by_get.rows]
    assert amounts == sorted(amounts, reverse=True)


async def test_kpis_are_asked_of_the_whole_model(bench: Bench) -> None:
    asking = await bench.asking(bench.sandbox.keys.reader)
    kpi = (await asking.kpis(KM))[0]
    page = await asking.model_data(KM, DataQuery(kpis=(kpi.id,)))
    assert page.last
    assert [header.id for header in page.headers] == [kpi.id]


async def test_pages_end_with_a_short_one_and_the_cap_is_known(bench: Bench) -> None:
    limits = Limits(per_second=1000, window_seconds=0.005, page=50, rows=1000)
    asking = await bench.asking(bench.sandbox.keys.user, limits=limits)
    model, record = await _largest(bench)
    fields = tuple(each.id for each in (await asking.record(model, record)).fields[:2])
    first = await asking.record_data(model, record, DataQuery(fields=fields, page_size=5000))
    assert (len(first.rows), first.last) == (50, False)
    last = await asking.record_data(model, record, DataQuery(fields=fields, page=19))
    assert not last.last
    sent = len(bench.sandbox.log)
    with pytest.raises(BadArgument, match="first 1,000 rows"):
        await asking.record_data(model, record, DataQuery(fields=fields, page=20))
    assert len(bench.sandbox.log) == sent


async def _largest(bench: Bench) -> tuple[str, str]:
    asking = await bench.asking(bench.sandbox.keys.user)
    for model in await asking.knowledge_models():
        for record in await asking.records(model.id):
            fields = (await asking.record(model.id, record.id)).fields[:1]
            page = await asking.record_data(
                model.id, record.id, DataQuery(fields=tuple(each.id for each in fields), page=19)
            )
            if len(page.rows) == 50:
                return model.id, record.id
    raise AssertionError("the sandbox has a record of more than 1,000 rows")


async def test_a_list_of_many_pages_is_read_to_its_end(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.celonis.api.LIST_PAGE", 2)
    asking = await bench.asking(bench.sandbox.keys.user)
    models = await asking.knowledge_models()
    assert len(models) == len({each.id for each in models}) > 4
    assert len(bench.sandbox.log) == len(models) // 2 + 1
    assert asking.caller.usage.calls.total() == len(bench.sandbox.log)


async def test_pools_jobs_runs_and_loads_are_read(bench: Bench) -> None:
    asking = await bench.asking(bench.sandbox.keys.operator)
    pools = {each.name: each for each in await asking.pools()}
    overview = {each.id: each for each in await asking.pools_paged()}
    assert set(overview) == {each.id for each in pools.values()}
    main = bench.sandbox.pools.find("main job")
    pool = next(pool for pool in bench.sandbox.pools if main in pool.jobs)
    assert (await asking.pool(pool.id)).name == pool.name
    job = await asking.job(pool.id, main.id)
    assert (job.name, job.status, job.pool_id) == ("main job", "RUNNING", pool.id)
    states = {each.job_id: each for each in await asking.job_statuses(pool.id)}
    assert states[main.id].status == "RUNNING"
    assert states[main.id].last_execution_start is not None
    runs = await asking.executions(pool.id, main.id)
    newest = next(iter(runs))
    assert newest.execution_id == job.current_execution_id
    assert newest.start == states[main.id].last_execution_start
    for model in pool.data_models:
        assert (await asking.loads(pool.id, model.id)).loaded_at is not None


async def test_team_and_user_are_read(bench: Bench) -> None:
    asking = await bench.asking(bench.sandbox.keys.user)
    assert (await asking.team()).name
    me = await asking.me()
    assert me is not None
    assert me.email == "bob.ross@celonis.com"


async def test_ids_are_one_segment_of_the_address_and_bad_ones_are_not_sent(bench: Bench) -> None:
    asking = await bench.asking(bench.sandbox.keys.reader)
    with pytest.raises(NotFound):
        await asking.records("a.b c#d?e=f&g%2f")
    (entry,) = bench.sandbox.log
    assert entry.path.endswith("/a.b%20c%23d%3Fe%3Df%26g%252f/records")
    with pytest.raises(BadArgument):
        await asking.records("../../api/cloud")
    assert len(bench.sandbox.log) == 1


# --- cache and provenance


async def test_asked_again_it_costs_nothing_and_says_how_old_it_is(bench: Bench) -> None:
    celonis = await bench.client(bench.sandbox.keys.reader)
    first = bench.ask(celonis)
    await first.kpis(KM)
    again = bench.ask(celonis)
    await again.kpis(KM)
    assert (again.cached, again.caller.usage.calls.total()) == (True, 0)
    assert again.fetched_at == first.fetched_at
    live = bench.ask(celonis).fresh()
    await live.kpis(KM)
    assert (live.cached, live.caller.usage.calls.total()) == (False, 1)
    assert live.fetched_at > first.fetched_at
    assert [(call.cached, call.path.endswith("kpis")) for call in celonis.recent_calls("the clerk")][1] == (
        True,
        True,
    )


async def test_not_found_is_remembered_for_a_moment(bench: Bench) -> None:
    celonis = await bench.client(bench.sandbox.keys.reader)
    for _ in range(3):
        with pytest.raises(NotFound, match=r"does not exist|was not found|not found"):
            await bench.ask(celonis).records("no.such-model")
    assert len(bench.sandbox.log) == 1


# --- what goes wrong


async def ended(bench: Bench, fault: Fault | None = None, key: str = "reader", **changes: Any) -> BotError:
    """What a read ends in."""
    celonis = await bench.client(getattr(bench.sandbox.keys, key), **changes)
    if fault is not None:
        bench.sandbox.faults.add(fault)
    with pytest.raises(BotError) as error:
        await bench.ask(celonis).kpis(KM)
    return error.value


@pytest.mark.parametrize(
    ("fault", "kind", "said"),
    [
        (Fault("reset"), Unreachable, "broke off"),
        (Fault("black_hole"), Unreachable, "not answered in time"),
        (Fault("slow_body", seconds=30), Unreachable, "not answered in time"),
        (Fault("cut"), Unreachable, "broke off"),
        (Fault("redirect"), UnexpectedReply, "did not go there"),
        (Fault("html", status=200), UnexpectedReply, "web page"),
        (Fault("html", status=502), ServerFault, "HTTP 502"),
        (Fault("truncated"), Unreachable, "broke off"),
        (Fault("html", status=401), UnexpectedReply, "web page (HTTP 401)"),
        (Fault("html", status=403), UnexpectedReply, "web page (HTTP 403)"),
        (Fault("html", status=404), UnexpectedReply, "web page (HTTP 404)"),
        (Fault("empty"), UnexpectedReply, "nothing where data"),
        (Fault("huge_body", size=2_000_000), UnexpectedReply, "stopped reading"),
        (Fault("status", status=400), BadQuery, "refuses the question"),
        (Fault("status", status=404), NotFound, ""),
        (Fault("status", status=415), BadQuery, "refuses the question"),
        (Fault("status", status=418), UnexpectedReply, "HTTP 418"),
        (Fault("status", status=500), ServerFault, "inside Celonis"),
        (Fault("status", status=503), ServerFault, "HTTP 503"),
    ],
)
async def test_every_fault_of_the_way_ends_in_its_own_error(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, fault: Fault, kind: type[BotError], said: str
) -> None:
    monkeypatch.setattr("bot.celonis.limits.transport.MOST_READ", 2**20)
    error = await ended(bench, fault, timeout=1.0)
    assert type(error) is kind
    assert said in error.sentence
    assert error.hint
    assert error.undone


async def test_odd_but_readable_replies_are_read(bench: Bench) -> None:
    asking = await bench.asking(bench.sandbox.keys.reader)
    bench.sandbox.faults.add(Fault("wrong_type"))
    assert await asking.kpis(KM)
    bench.sandbox.faults.clear()
    bench.sandbox.faults.add(Fault("string_flags"))
    assert (await asking.record_data(KM, "MATERIALS", DataQuery(fields=("material_name",)))).rows


async def test_a_dead_server_an_unknown_host_and_bad_certificates_are_told_apart(bench: Bench) -> None:
    celonis = await bench.client(bench.sandbox.keys.reader)
    await bench.sandbox.down()
    with pytest.raises(Unreachable, match="cannot be reached"):
        await bench.ask(celonis).pools()
    await bench.sandbox.up()
    nowhere = Connection(
        name="dev",
        url="https://no-such-team.invalid",
        api_token=Secret("k" * 40),
        limits=WIDE,
        total_retry=0,
    )
    async with Celonis(nowhere, clock=bench.clock, ledger=MemoryLedger(bench.clock)) as lost:
        with pytest.raises(Unreachable, match=r"no host|cannot be reached"):
            await bench.ask(lost).pools()


async def test_reads_are_tried_again_where_that_can_help_and_only_there(bench: Bench) -> None:
    celonis = await bench.client(bench.sandbox.keys.reader, total_retry=2)
    bench.sandbox.faults.add(Fault("status", status=503, count=2))
    assert await bench.ask(celonis).kpis(KM)
    assert [entry.status for entry in bench.sandbox.log] == [503, 503, 200]
    bench.sandbox.log.clear()
    bench.sandbox.faults.add(Fault("status", status=400, count=1))
    with pytest.raises(BadQuery):
        await bench.ask(celonis).filters(KM)
    assert len(bench.sandbox.log) == 1


async def test_a_key_with_a_tiny_quota_is_told_when_it_may_ask_again(bench: Bench) -> None:
    for dialect in ("seconds", "epoch", "iso", "body"):
        bench.sandbox.reset()
        bench.sandbox.switches.update({"reset": dialect, "rate_headers": "429", "per_second": 10_000})
        celonis = await bench.client(bench.sandbox.keys.tiny)
        error: BotError | None = None
        for number in range(12):
            try:
                await bench.ask(celonis).records(f"no.model-{number}")
            except NotFound:
                continue
            except BotError as refused:
                error = refused
        assert isinstance(error, RateLimited), dialect
        assert error.moment is not None, dialect
        assert len(bench.sandbox.log.where(status=429)) == 1, dialect
        await celonis.close()
        bench.clients.remove(celonis)


# --- the published catalog


def reply(status: int, body: object = "", **headers: str) -> httpx.Response:
    raw = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    return httpx.Response(status, headers=headers, content=raw)


@pytest.mark.parametrize(
    ("status", "body", "kind", "who", "said"),
    [
        (401, {"error": "Unauthorized"}, Unauthorized, Who.BOT_ADMIN, "does not accept"),
        (
            401,
            'Invalid "Authorization" header format. Should start either with "Bearer " or "AppKey " (case insensitive).',
            Unauthorized,
            Who.BOT_ADMIN,
            "without a kind",
        ),
        (
            403,
            {"title": "Access Denied.", "detail": "Access is denied", "errorCode": "ADMIN_ACCESS_ERROR"},
            Forbidden,
            Who.CELONIS_ADMIN,
            "does not let",
        ),
        (403, "", Forbidden, Who.CELONIS_ADMIN, "not switched on"),
        (
            400,
            {
                "title": "Query parameter type mismatch.",
                "detail": "Invalid query parameter type.",
                "errorCode": "GENERAL_PARAMETER_MISSMATCH",
            },
            BadQuery,
            Who.ASKER,
            "Invalid query parameter type.",
        ),
        (
            400,
            {
                "title": "Some params have constraint violations.",
                "detail": "[fields: size must be between 1 and 200]",
                "errorCode": "GENERAL_CONSTRAINT_VIOLATION",
            },
            BadQuery,
            Who.ASKER,
            "between 1 and 200",
        ),
        (
            400,
            {
                "title": "Field not found.",
                "detail": "Fields not found: test. Note: Fields are case sensitive.",
                "errorCode": "KM_FIELD_NOTFOUND",
            },
            BadQuery,
            Who.ASKER,
            "Fields not found: test",
        ),
        (
            400,
            {
                "title": "Some fields in sort don't exist in fields.",
                "detail": "The sort field does not exist.",
                "errorCode": "SORT_UNKNOWN_FIELD",
            },
            BadQuery,
            Who.ASKER,
            "sort field",
        ),
        (
            404,
            {
                "title": "Knowledge Model not found.",
                "detail": "Knowledge Model with id 'XXXX' was not found.",
                "errorCode": "KM_MODEL_NOTFOUND",
            },
            NotFound,
            Who.ASKER,
            "was not found",
        ),
        (
            404,
            {"title": "Path not found.", "errorCode": "GENERAL_NOTFOUND_PATH"},
            NotFound,
            Who.ASKER,
            "Path not found",
        ),
        (404, {"errorCode": "LIMIT_NOTFOUND"}, CelonisError, Who.TIME, "no limits configured"),
        (
            429,
            {
                "detail": "Rate limit is exceeded. Please try again at 06:10:41 UTC.",
                "errorCode": "LIMIT_RATE_EXCEEDED",
            },
            RateLimited,
            Who.TIME,
            "enough questions",
        ),
        (
            500,
            {
                "detail": "Please contact Celonis customer support. Celonis Support ID: 1234abcd-12ab-12ab-12ab-123456abcdef",
                "errorCode": "ADMIN_FATAL_ERROR",
            },
            ServerFault,
            Who.TIME,
            "inside Celonis",
        ),
        (503, "", ServerFault, Who.TIME, "HTTP 503"),
        (
            400,
            {"frontendErrorKey": "SOME_KEY", "errorInformation": "not that way"},
            BadQuery,
            Who.ASKER,
            "not that way",
        ),
        (
            400,
            {"reference": "r", "message": "bad pool", "shortMessage": "bad"},
            BadQuery,
            Who.ASKER,
            "bad pool",
        ),
        (
            409,
            {"errors": [{"attribute": "name", "error": "taken", "errorCode": "X_Y_Z"}]},
            BadQuery,
            Who.ASKER,
            "name: taken",
        ),
        (400, [1, 2], BadQuery, Who.ASKER, "HTTP 400"),
        (302, "", UnexpectedReply, Who.BOT_ADMIN, "another address"),
        (204, "", UnexpectedReply, Who.BOT_ADMIN, "HTTP 204"),
    ],
)
def test_every_entry_of_the_error_catalog_has_its_error(
    status: int, body: object, kind: type[BotError], who: Who, said: str
) -> None:
    now = SystemClock().now()
    error = refusal(reply(status, body), connection=CONNECTION, family=Family.INTELLIGENCE, now=now)
    assert type(error) is kind
    assert error.who is who
    assert said in error.sentence
    assert error.hint
    assert error.undone


def test_the_support_id_is_passed_on() -> None:
    error = refusal(
        reply(500, {"detail": "Celonis Support ID: 1234abcd-12ab-12ab-12ab-123456abcdef"}),
        connection=CONNECTION,
        family=Family.OTHER,
        now=SystemClock().now(),
    )
    assert error.support_id == "1234abcd-12ab-12ab-12ab-123456abcdef"
    assert error.support_id in error.hint


def test_words_of_the_other_side_are_cut_and_harmless() -> None:
    assert len(foreign("x" * 5000)) == 300
    assert foreign("a\n\u202eb\x00c") == "a b c"
    secret = "NmYxYzY0ODAtMTIzNC00ZjRmLTkwYWItYWJjZGVmMDEyMzQ1OnNlY3JldC1vZi10aGUtdGVzdHM="
    assert secret not in foreign(f"bad key {secret} given")


def test_deeply_nested_json_is_an_unreadable_answer() -> None:
    with pytest.raises(UnexpectedReply):
        payload(reply(200, "[" * 100_000), connection=CONNECTION)


# --- secrets


async def test_no_secret_is_in_logs_errors_or_reprs_over_a_full_run(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    key = bench.sandbox.keys.reader
    celonis = await bench.client(key)
    said: list[str] = []
    faults = [None, Fault("reset"), Fault("html"), Fault("status", status=401), Fault("status", status=500)]
    for number, fault in enumerate(faults):
        bench.sandbox.faults.clear()
        if fault:
            bench.sandbox.faults.add(fault)
        try:
            query = DataQuery(fields=("material_name",), search=f"a person's secret {number}")
            await bench.ask(celonis, lane=Lane.GUARDED, fresh=True).record_data(KM, "MATERIALS", query)
        except BotError as error:
            chain: BaseException | None = error
            while chain is not None:
                said += [str(chain), repr(chain), repr(vars(chain))]
                chain = chain.__cause__
    said += [repr(each) for each in celonis.recent_calls()]
    said += [repr(celonis.connection), repr(await celonis.quota("the clerk")), repr(celonis._client.key())]
    said += [repr(vars(celonis._client.auth)), caplog.text]
    for text in said:
        assert key.secret not in text
        assert "secret%20" not in text
        assert "person's secret" not in text


async def test_the_http_library_keeps_quiet_about_addresses(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    asking = await bench.asking(bench.sandbox.keys.reader)
    await asking.record_data(KM, "MATERIALS", DataQuery(fields=("material_name",), search="ACME"))
    assert "ACME" not in caplog.text
    assert logging.getLogger("httpx").getEffectiveLevel() >= logging.WARNING


@pytest.mark.parametrize(
    ("scope", "call", "missing"),
    [
        ("integration.data-pools", "kpis", "intelligence.knowledge-models:read"),
        ("intelligence.knowledge-models:read", "pools", "integration.data-pools"),
    ],
)
async def test_a_refusal_under_oauth_names_the_scope_that_is_missing(
    bench: Bench, scope: str, call: str, missing: str
) -> None:
    key = bench.sandbox.keys.oauth
    asking = await bench.asking(key, **oauth_client(key, scope))
    with pytest.raises(Forbidden) as error:
        await (asking.kpis(KM) if call == "kpis" else asking.pools())
    assert f"the scope {missing} is missing" in error.value.sentence
    assert missing in error.value.hint
    assert [entry.status for entry in bench.sandbox.log] == [200, 403], "a token, and the refusal"
    assert asking.caller.usage.calls == {Family.OTHER: 1, Family.of(bench.sandbox.log[-1].path): 1}


async def test_errors_may_come_as_problems(bench: Bench) -> None:
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["accept"])
        return httpx.Response(200, json={"content": [], "pageSize": 50})

    celonis = Celonis(
        bench.connection(bench.sandbox.keys.reader),
        clock=bench.clock,
        ledger=MemoryLedger(bench.clock),
        transport=httpx.MockTransport(answer),
    )
    async with celonis:
        await bench.ask(celonis).kpis(KM)
    assert seen == ["application/json, application/problem+json"]


async def test_the_role_of_a_user_may_be_a_number(bench: Bench) -> None:
    me = await (await bench.asking(bench.sandbox.keys.user)).me()
    assert me is not None
    assert me.email == "bob.ross@celonis.com"
