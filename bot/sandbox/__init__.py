"""A Celonis team on your own machine: real HTTP, real limits, faults on request.

`async with Sandbox() as sandbox:` serves at `sandbox.url` until the block ends. `sandbox.keys` are its credentials,
`sandbox.log` is what arrived, `sandbox.switches`, `sandbox.faults`, `sandbox.pools` and `sandbox.clock` change what
it does, in this program or, under `/__sandbox__/`, from another one. It imports nothing else of the project, so that
it cannot agree with the client's mistakes.
"""

from bot.sandbox.faults import Fault, Faults
from bot.sandbox.keys import Key, Keys
from bot.sandbox.log import Entry, RequestLog
from bot.sandbox.server import Sandbox, SandboxOptions, run
from bot.sandbox.switches import Switches

__all__ = [
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
