"""Settings: environment over `celonis-chat.toml` over defaults, and every problem reported at once.

The environment is handed in; only files (the toml, and files that hold secrets) are read here. Secrets come from the
environment or from files, never from the toml, and never show in a `repr`, a problem or a traceback.

`tables` is the toml as people write it; `load` turns it, with the environment, into `Settings`, which is what the
rest of the program sees: parsed, checked, frozen.
"""

from bot.config.address import host_matches, is_loopback, team_root
from bot.config.loading import ENVIRONMENT, Need, Variable, load
from bot.config.secret import Secret
from bot.config.settings import (
    DEFAULT_CONNECTION,
    SANDBOX_CONNECTION,
    Connection,
    OAuthClient,
    Settings,
    Slack,
    Teams,
)
from bot.config.tables import (
    GERMAN,
    PREFIX,
    Audit,
    Binding,
    ChatLimits,
    DataModel,
    HiddenField,
    KeyType,
    Limits,
    On,
    Right,
    Rule,
    Server,
    SettingsFile,
    Synonyms,
    Who,
)

__all__ = [
    "DEFAULT_CONNECTION",
    "ENVIRONMENT",
    "GERMAN",
    "PREFIX",
    "SANDBOX_CONNECTION",
    "Audit",
    "Binding",
    "ChatLimits",
    "Connection",
    "DataModel",
    "HiddenField",
    "KeyType",
    "Limits",
    "Need",
    "OAuthClient",
    "On",
    "Right",
    "Rule",
    "Secret",
    "Server",
    "Settings",
    "SettingsFile",
    "Slack",
    "Synonyms",
    "Teams",
    "Variable",
    "Who",
    "host_matches",
    "is_loopback",
    "load",
    "team_root",
]
