"""Every command, in the order in which help shows them. Adding one: a module, and a line here."""

from __future__ import annotations

from bot.commands.access import ALLOW, DEBUG, PERMISSIONS, QUOTA, STATUS, WHOAMI
from bot.commands.audit import AUDIT
from bot.commands.browse import ANALYSES, DATA_MODELS, LOADS_OF, PACKAGES, SPACES
from bot.commands.cancel import CANCEL
from bot.commands.command import AnyCommand
from bot.commands.counts import COUNT, VALUES
from bot.commands.curl import CURL
from bot.commands.defaults import USE_CONNECTION, USE_MODEL, USE_ZONE
from bot.commands.export import EXPORT
from bot.commands.find import FIND
from bot.commands.form import FORM, FORM_DATA, FORM_KPI
from bot.commands.help import HELP
from bot.commands.history import HISTORY
from bot.commands.jobs import JOB
from bot.commands.kpis import KPI, KPIS
from bot.commands.may import MAY
from bot.commands.models import MODEL, MODELS
from bot.commands.pools import JOBS, POOLS
from bot.commands.records import DATA, FIELDS, FILTERS, RECORDS
from bot.commands.run import RUN
from bot.commands.share import SHARE
from bot.commands.switch import WRITES
from bot.commands.triggers import TRIGGERS
from bot.commands.watches.listing import EDIT, SNOOZE, UNWATCH, WATCHES
from bot.commands.watches.orders import ALERT, DIGEST, GUARD, GUARD_POOL, WATCH, WATCH_POOL
from bot.commands.why import WHY

COMMANDS: tuple[AnyCommand, ...] = (
    HELP,
    KPI,
    KPIS,
    DATA,
    COUNT,
    RECORDS,
    FIELDS,
    VALUES,
    FILTERS,
    TRIGGERS,
    MODELS,
    MODEL,
    JOBS,
    JOB,
    WHY,
    HISTORY,
    POOLS,
    CANCEL,
    RUN,
    WATCH,
    WATCH_POOL,
    ALERT,
    GUARD,
    GUARD_POOL,
    DIGEST,
    WATCHES,
    UNWATCH,
    SNOOZE,
    EDIT,
    DATA_MODELS,
    LOADS_OF,
    SPACES,
    PACKAGES,
    ANALYSES,
    FIND,
    FORM,
    FORM_KPI,
    FORM_DATA,
    EXPORT,
    SHARE,
    CURL,
    USE_MODEL,
    USE_ZONE,
    USE_CONNECTION,
    STATUS,
    WHOAMI,
    PERMISSIONS,
    QUOTA,
    ALLOW,
    DEBUG,
    WRITES,
    AUDIT,
    MAY,
)
