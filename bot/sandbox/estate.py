"""The data pools that a sandbox starts with: their jobs with two weeks of history, and their data models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.sandbox.pools import DataModel, Job, Load, Mode, Pool, Run, Stage, Status, stable_id

if TYPE_CHECKING:
    from collections.abc import Iterable

SAP_ECC = "3d8a2621-f9c0-456a-9b2d-9bb8c0a9fcd1"
TUTORIAL = stable_id("pool", "tutorial")
ORACLE = stable_id("pool", "oracle")
SALESFORCE = stable_id("pool", "salesforce")
NEW_SOURCES = stable_id("pool", "new sources")
PAYROLL = stable_id("pool", "payroll")

OPEN_POOLS = frozenset({SAP_ECC, TUTORIAL, ORACLE, SALESFORCE, NEW_SOURCES})

_MINUTE = 60.0
_HOUR = 3600.0
_DAY = 86_400.0
_BEFORE = 90 * _DAY

_EXTRACT = Stage("Extract SAP tables", "EXTRACTION", ("VBAK", "VBAP", "LIKP", "LIPS"))
_TRANSFORM = Stage("Build activity tables", "TRANSFORMATION", ("Sales orders", "Deliveries", "Change log"))
_LOAD = Stage("Load data models", "DATA_MODEL_LOAD", ("Order to Cash",))

_FAILING_EXTRACTION = Stage(
    "Extract invoices",
    "EXTRACTION",
    ("BKPF", "BSEG"),
    errors=(
        (
            "DATASOURCE_NOT_REACHABLE",
            "Data source 'SAP S/4 (eu)' is not reachable: connection timed out after 60 s.",
        ),
        (
            "EXTRACTION_FAILED",
            "Extraction of table BSEG failed after 3 attempts. Last error: RFC_COMMUNICATION_FAILURE.",
        ),
    ),
)
_FAILING_TRANSFORMATION = Stage(
    "Match opportunities",
    "TRANSFORMATION",
    ("Accounts", "Opportunities"),
    errors=(
        (
            "TRANSFORMATION_FAILED",
            'Column "OWNER_ID" does not exist in table OPPORTUNITY_RAW. See <https://example.com|log>.',
        ),
    ),
)


def _run(
    job: str,
    number: int,
    started: float,
    seconds: float | None,
    status: Status,
    *,
    mode: Mode = "DELTA",
    schedule: str = "Nightly",
) -> Run:
    run = Run(
        execution_id=stable_id(job, "history", number),
        mode=mode,
        queued_at=started - 4,
        starts_at=None if status == "QUEUED" else started,
        ends_at=None if seconds is None else started + seconds,
        outcome=status if status in ("SUCCESS", "FAIL", "SKIPPED") else "SUCCESS",
        schedule=schedule,
    )
    if status == "CANCEL" and seconds is not None:
        run.ends_at, run.cancel_at = None, started + seconds
    return run


def _nightly(
    job: str, last: float, minutes: Iterable[float], *, statuses: dict[int, Status] | None = None
) -> list[Run]:
    lengths = list(minutes)
    return [
        _run(
            job,
            number,
            last - (len(lengths) - 1 - number) * _DAY,
            length * _MINUTE,
            (statuses or {}).get(number, "SUCCESS"),
        )
        for number, length in enumerate(lengths)
    ]


def _job(
    pool: str,
    name: str,
    start: float,
    stages: tuple[Stage, ...],
    runs: list[Run],
    *,
    job_id: str | None = None,
    outcome: Status = "SUCCESS",
    source: str | None = "",
) -> Job:
    where = stable_id(pool, "connection") if source == "" else source
    return Job(job_id or stable_id(pool, name), name, pool, stages, where, start - _BEFORE, outcome, runs)


def _data_model(
    pool: str,
    name: str,
    start: float,
    tables: tuple[tuple[str, int], ...],
    last: Load,
    *,
    description: str = "",
) -> DataModel:
    identity = stable_id(pool, "data model", name)
    earlier = [
        Load(
            stable_id(identity, "history", day),
            start - day * _DAY,
            start - day * _DAY + 280 + day,
            "SUCCESS",
            "COMPLETE",
        )
        for day in (3, 2)
    ]
    return DataModel(identity, name, pool, description, tables, [*earlier, last], start - _BEFORE)


def _sap(start: float) -> Pool:
    initial, main, final = (
        "7355c620-0c46-49b5-b466-b31aad09f6ec",
        "0bae5839-6921-46dc-8d0f-3294ecd6b3fd",
        "3427660d-6b6f-4d7b-8488-210cff8e7ebb",
    )
    began = start - 95 * _MINUTE
    main_runs = _nightly(
        main,
        began - _DAY,
        (52, 49, 55, 51, 12, 50, 53, 58, 54, 30, 52, 56, 61),
        statuses={4: "FAIL", 9: "CANCEL"},
    )
    main_runs.append(_run(main, 99, began, 6 * _HOUR, "RUNNING"))
    pool = Pool(SAP_ECC, "SAP ECC", "Sales, purchasing and deliveries of the ECC system", start - _BEFORE)
    stages = (_EXTRACT, _TRANSFORM, _LOAD)
    pool.jobs = [
        _job(
            SAP_ECC,
            "initial job",
            start,
            (_EXTRACT,),
            _nightly(initial, began - 40 * _MINUTE, (34, 33, 36)),
            job_id=initial,
        ),
        _job(SAP_ECC, "main job", start, stages, main_runs, job_id=main),
        _job(
            SAP_ECC,
            "final job",
            start,
            (_LOAD,),
            _nightly(final, began - _DAY + 70 * _MINUTE, (8, 9, 7)),
            job_id=final,
        ),
    ]
    pool.data_models = [
        _data_model(
            SAP_ECC,
            "Order to Cash",
            start,
            (("ACTIVITIES", 1_204_331), ("VBAK", 96_412), ("LIKP", 88_020)),
            Load(stable_id("otc load"), start - 22 * _HOUR, start - 22 * _HOUR + 300, "SUCCESS", "COMPLETE"),
            description="Orders, deliveries and invoices",
        ),
        _data_model(
            SAP_ECC,
            "Accounts Payable",
            start,
            (("ACTIVITIES", 801_002), ("BSEG", 233_870)),
            Load(stable_id("ap load"), start - 46 * _HOUR, start - 46 * _HOUR + 410, "SUCCESS", "PARTIAL"),
        ),
    ]
    return pool


def _tutorial(start: float) -> Pool:
    pool = Pool(TUTORIAL, "PyCelonis Tutorial Data Pool", "", start - _BEFORE)
    invoices = stable_id(TUTORIAL, "Extract invoices")
    queued = stable_id(TUTORIAL, "Nightly full load")
    pool.jobs = [
        _job(
            TUTORIAL,
            "Extract invoices",
            start,
            (Stage("Prepare schema", "TRANSFORMATION", ("Create tables",)), _FAILING_EXTRACTION, _LOAD),
            _nightly(invoices, start - 3 * _HOUR, (11, 12, 4), statuses={2: "FAIL"}),
            outcome="FAIL",
        ),
        _job(
            TUTORIAL,
            "Nightly full load",
            start,
            (_EXTRACT, _LOAD),
            [
                *_nightly(queued, start - _DAY, (140, 151)),
                _run(queued, 99, start - 12 * _MINUTE, None, "QUEUED", mode="FULL"),
            ],
        ),
        _job(TUTORIAL, "Archive old documents", start, (Stage("Archive", "TRANSFORMATION"),), []),
        _job(
            TUTORIAL,
            "Load tutorial data",
            start,
            (_LOAD,),
            _nightly(stable_id(TUTORIAL, "Load tutorial data"), start - 5 * _HOUR, (2, 2, 3)),
            source=None,
        ),
    ]
    pool.data_models = [
        _data_model(
            TUTORIAL,
            "PyCelonis Tutorial Data Model",
            start,
            (("ACTIVITIES", 12_000), ("CASES", 1_400), ("USERS", 37)),
            Load(
                stable_id("tutorial load"), start - 5 * _HOUR, start - 5 * _HOUR + 300, "SUCCESS", "COMPLETE"
            ),
        )
    ]
    return pool


def _oracle(start: float) -> Pool:
    pool = Pool(ORACLE, "Oracle EBS Procurement", "Purchase orders and receipts", start - _BEFORE)
    delta, full = stable_id(ORACLE, "delta load"), stable_id(ORACLE, "Full load")
    stages = (Stage("Extract EBS tables", "EXTRACTION", ("PO_HEADERS_ALL", "RCV_TRANSACTIONS")), _LOAD)
    pool.jobs = [
        _job(ORACLE, "delta load", start, stages, _nightly(delta, start - 55 * _MINUTE, (21, 19, 22, 20))),
        _job(
            ORACLE,
            "Full load",
            start,
            stages,
            _nightly(full, start - 9 * _HOUR, (188, 0.05), statuses={1: "SKIPPED"}),
        ),
    ]
    pool.data_models = [
        _data_model(
            ORACLE,
            "Procurement",
            start,
            (("ACTIVITIES", 310_044), ("PO_HEADERS_ALL", 20_410)),
            Load(
                stable_id("oracle load"),
                start - 8 * _HOUR,
                start - 8 * _HOUR + 95,
                "ERROR",
                "COMPLETE",
                "Table PO_HEADERS_ALL: duplicate primary key.",
            ),
        )
    ]
    return pool


def _salesforce(start: float) -> Pool:
    pool = Pool(SALESFORCE, "Salesforce CRM", "Opportunities & accounts", start - _BEFORE)
    delta, match = stable_id(SALESFORCE, "delta load"), stable_id(SALESFORCE, "Match opportunities")
    stages = (Stage("Extract objects", "EXTRACTION", ("Account", "Opportunity")), _LOAD)
    running = _run(delta, 99, start - 7 * _MINUTE, 2 * _HOUR, "RUNNING", schedule="Every two hours")
    pool.jobs = [
        _job(
            SALESFORCE,
            "delta load",
            start,
            stages,
            [*_nightly(delta, start - 2 * _HOUR, (17, 18, 16)), running],
        ),
        _job(
            SALESFORCE,
            "Match opportunities",
            start,
            (_FAILING_TRANSFORMATION,),
            _nightly(match, start - 26 * _HOUR, (6, 1), statuses={1: "FAIL"}),
            outcome="FAIL",
        ),
        _job(
            SALESFORCE,
            "O'Leary & Sons: *sync* <!channel>",
            start,
            stages,
            _nightly(stable_id(SALESFORCE, "hostile"), start - 30 * _HOUR, (3, 5), statuses={1: "CANCEL"}),
        ),
    ]
    pool.data_models = [
        _data_model(
            SALESFORCE,
            "Opportunities",
            start,
            (("OPPORTUNITY", 5_001), ("ACCOUNT", 812)),
            Load(stable_id("salesforce load"), start - 200, start + 3 * _HOUR, "SUCCESS", "PARTIAL"),
        )
    ]
    return pool


def make_pools(start: float) -> list[Pool]:
    """The pools as they are at this moment (seconds since 1970)."""
    new = Pool(NEW_SOURCES, "New sources", "Nothing is connected yet", start - 2 * _DAY)
    payroll = Pool(PAYROLL, "Payroll (restricted)", "Only the user key sees it", start - _BEFORE)
    payroll.jobs = [
        _job(
            PAYROLL,
            "salary run",
            start,
            (_EXTRACT,),
            _nightly(stable_id(PAYROLL, "salary run"), start - 10 * _HOUR, (15, 15)),
        )
    ]
    return [_sap(start), _tutorial(start), _oracle(start), _salesforce(start), new, payroll]
