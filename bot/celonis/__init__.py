"""The client of Celonis' APIs, within their limits; the only package that speaks HTTP to Celonis.

The way of a call::

    Celonis.on_behalf(caller)       connection   one per Celonis team and identity: its life, its quota, its key
      Api.kpis(km_id)               api          typed calls, for one person's one request
        Cache.at_hand               cache        a fresh answer: nothing is awaited
        Cache.fetch                              else one call for everybody who asks the same at the same time
          Client.read               client       JSON or an error (errors); tried again where that can help
            CelonisAuth             auth         the header; asks for tokens, tries another key after a 401
              LimitedTransport      limits       the one door, which every request goes through, tokens included
                Limiter.admit                    a turn, a slot, a booking in the day's ledger, or a refusal with its end
                httpx                            the network

Who asks, how urgently and until when travels with each request as its `Purpose`. `request` and `filter_expr` write
what is asked for, `models` reads what comes back, `freshness` says how long it keeps.
"""

from bot.celonis.api import Api
from bot.celonis.auth import Identity
from bot.celonis.cache import Reads
from bot.celonis.client import KeyInfo
from bot.celonis.connection import Celonis, FamilyQuota, QuotaView
from bot.celonis.freshness import Lifetime
from bot.celonis.limits.transport import CallRecord
from bot.celonis.models import (
    CancelRuns,
    DataPage,
    Execution,
    Header,
    Job,
    JobRun,
    JobStatus,
    Kpi,
    LogLine,
    StartRun,
)
from bot.celonis.request import Caller, DataQuery, Family, Lane, Usage

__all__ = [
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
    "Header",
    "Identity",
    "Job",
    "JobRun",
    "JobStatus",
    "KeyInfo",
    "Kpi",
    "Lane",
    "Lifetime",
    "LogLine",
    "QuotaView",
    "Reads",
    "StartRun",
    "Usage",
]
