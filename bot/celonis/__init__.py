"""The client of Celonis' APIs, within their limits; the only package that speaks HTTP to Celonis."""

from bot.celonis.api import Api
from bot.celonis.client import Celonis, FamilyQuota, QuotaView
from bot.celonis.connection import (
    Caller,
    Family,
    Identity,
    Lane,
    Usage,
)
from bot.celonis.engine import Answer, KeyInfo
from bot.celonis.ids import checked_id, segment
from bot.celonis.memory import Ledger, MemoryLedger
from bot.celonis.models import (
    DataPage,
    Execution,
    Field,
    Filter,
    Grants,
    Header,
    Job,
    JobStatus,
    KnowledgeModel,
    Kpi,
    LoadInfo,
    Me,
    Pool,
    PoolOverview,
    Record,
    Team,
    Trigger,
)
from bot.celonis.query import DataQuery
from bot.celonis.wire import CallRecord
from bot.celonis.writes import CancelRuns, JobRun

__all__ = [
    "Answer",
    "Api",
    "CallRecord",
    "Caller",
    "CancelRuns",
    "Celonis",
    "DataPage",
    "DataQuery",
    "Execution",
    "Family",
    "FamilyQuota",
    "Field",
    "Filter",
    "Grants",
    "Header",
    "Identity",
    "Job",
    "JobRun",
    "JobStatus",
    "KeyInfo",
    "KnowledgeModel",
    "Kpi",
    "Lane",
    "Ledger",
    "LoadInfo",
    "Me",
    "MemoryLedger",
    "Pool",
    "PoolOverview",
    "QuotaView",
    "Record",
    "Team",
    "Trigger",
    "Usage",
    "checked_id",
    "segment",
]
