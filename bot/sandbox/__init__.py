"""A Celonis team on your own machine: real HTTP, real limits, faults on request.

`async with Sandbox() as sandbox:` serves at `sandbox.url` until the block ends. `sandbox.keys` are its credentials,
`sandbox.log` is what arrived, `sandbox.switches`, `sandbox.faults`, `sandbox.limits`, `sandbox.pools` and
`sandbox.clock` change what it does, in this program or, under `/__sandbox__/`, from another one. It imports nothing
else of the project, so that it cannot agree with the client's mistakes.

What Celonis documents is done as documented; the beta endpoints (`query`, `summary`, `spec`, OData) are not served.
Where nothing is published, the sandbox has made a choice (marked [choice] in the code; * has a switch):

| matter | choice |
|---|---|
| a valid key under the wrong word | 401 `{"error":"Unauthorized"}`, as for an unknown key |
| current user of an OAuth client | 200 without a body, as for an application key |
| scope that opens a path | see `server._in_scope`; a token request without a known scope is `invalid_scope` |
| a named thing without the right | 403: `ADMIN_ACCESS_ERROR` on the Intelligence API, `message`/`shortMessage` elsewhere |
| unknown pool, job, data model, node | 404 with `message`/`shortMessage` |
| cancelling an idle job | 200, no effect * |
| starting a job that is active | 400 `JOB_ALREADY_RUNNING`; without a mode on the official path: 400 |
| start date of a queued run | when it was asked for |
| loading a data model that is loading | 409 |
| families with a quota | each its own, all alike * |
| what a 429 costs | as much as any request * |
| which window the headers describe | the day; on a 429 the one that rejected |
| anchor of the day | midnight UTC * |
| lists of metadata | sorted by id unless told otherwise; no largest page |
| a page larger than the cap, a page behind the row cap | 400 *, an empty page * |
| several filters and expressions | all must hold |
| dialect of a `filterExpr` | a quoted string makes it OData-typed; its legacy parts (`,` and `is`) are then refused |
| literals that don't fit, `null` in a comparison, unknown operators | 400 `KM_FILTER_EXPRESSION_ILLEGAL` |
| unknown filter, unknown KPI | 400 `KM_FILTER_NOTFOUND`, `KM_KPI_NOTFOUND` |
| comparisons with null | hold for no row, not even under `not` |
| text in filters and sorting | case sensitive, by code point; nulls last |
| a day given for a date-time | its midnight in UTC |
| KPIs with fields | one row per combination; records are joined from many to one, unlinked ones refused (400) |
| a filter on a finer record | keeps the rows that it leads to |
| ids in a reply on model level | `RECORD.field` |
| dates on the wire | `2026-03-01`, `2026-03-01T14:05:44Z`, milliseconds for a timestamp |
| search | partial similarity in the strings asked for, 80 unless told otherwise |
| another method on a known path | 405 with the envelope |
"""

from bot.sandbox.content import BrokenData
from bot.sandbox.faults import Fault, Faults
from bot.sandbox.keys import Key, Keys
from bot.sandbox.log import Entry, RequestLog
from bot.sandbox.server import Sandbox, SandboxOptions, run
from bot.sandbox.switches import Switches

__all__ = [
    "BrokenData",
    "Entry",
    "Fault",
    "Faults",
    "Key",
    "Keys",
    "RequestLog",
    "Sandbox",
    "SandboxOptions",
    "Switches",
    "run",
]
