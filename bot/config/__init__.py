"""Settings: environment over `celonis-chat.toml` over defaults, and every problem reported at once.

The environment is handed in; only files (the toml, and files that hold secrets) are read here. Secrets come from the
environment or from files, never from the toml, and never show in a `repr`, a problem or a traceback.

`Settings` is the toml as people write it and, once `load` has read it, what the rest of the program sees: one tree of
frozen tables. What the toml only points to (secrets), and what the environment alone says, stands in fields that the
toml cannot write.
"""

from bot.config.address import host_matches, is_loopback, team_root
from bot.config.connection import Connection, DataModelRef, KeyType, Limits, OAuthClient
from bot.config.loading import ENVIRONMENT, load
from bot.config.rules import Binding, HiddenField, Notify, On, Right, Rule, SecondPerson, Who
from bot.config.secret import Secret
from bot.config.section import Need, Section
from bot.config.settings import (
    Admin,
    AuditSettings,
    ChatLimits,
    KpiKind,
    KpiSettings,
    Server,
    Settings,
    Slack,
    Synonyms,
    Teams,
    Watching,
)

__all__ = [
    "ENVIRONMENT",
    "Admin",
    "AuditSettings",
    "Binding",
    "ChatLimits",
    "Connection",
    "DataModelRef",
    "HiddenField",
    "KeyType",
    "KpiKind",
    "KpiSettings",
    "Limits",
    "Need",
    "Notify",
    "OAuthClient",
    "On",
    "Right",
    "Rule",
    "SecondPerson",
    "Secret",
    "Section",
    "Server",
    "Settings",
    "Slack",
    "Synonyms",
    "Teams",
    "Watching",
    "Who",
    "host_matches",
    "is_loopback",
    "load",
    "team_root",
]
