"""What `celonis-chat sandbox` prints: address, keys, and calls to try."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bot.sandbox.server import Sandbox

_KINDS = {"user": "user key (Bearer)", "app": "application key (AppKey)", "oauth": "OAuth client"}


def introduction(sandbox: Sandbox) -> str:
    """The text for a person who wants to use this sandbox."""
    keys, url = sandbox.keys, sandbox.url
    lines = [
        f"A made-up Celonis team is serving at {url}",
        f"Requests so far and switches: {url}/__sandbox__/",
        "",
        "Keys (made up, worth nothing anywhere else):",
    ]
    for key in keys:
        lines += ["", f"  {key.name}: {_KINDS[key.kind]}", f"    {key.may}"]
        if key.client_id:
            lines.append(f"    client id      {key.client_id}")
        lines.append(f"    {'client secret ' if key.client_id else 'key'} {key.secret}")
    knowledge = "open-purchase-requisition.purchase-requisition-km"
    fields = "fields=material_name,material_group,payment_amount"
    lines += [
        "",
        "Try:",
        f"  curl -s -H 'Authorization: {keys.operator.authorization}' '{url}/intelligence/api/knowledge-models'",
        f"  curl -s -H 'Authorization: {keys.operator.authorization}' \\",
        f"    '{url}/intelligence/api/knowledge-models/{knowledge}/records/MATERIALS/data?{fields}&sort=-payment_amount'",
        f"  curl -s -H 'Authorization: {keys.pool.authorization}' '{url}/integration/api/pools/paged'",
        f"  curl -s -u '{keys.oauth.client_id}:{keys.oauth.secret}' \\",
        f"    -d 'grant_type=client_credentials&scope=integration.data-pools' '{url}/oauth2/token'",
        f"  curl -s '{url}/__sandbox__/log?format=text'",
        f"  curl -s -X PUT -d '{{\"cancel_delay\": 20}}' '{url}/__sandbox__/switches'",
        f'  curl -s -X POST -d \'{{"kind": "status", "status": 502, "count": 3}}\' \'{url}/__sandbox__/faults\'',
    ]
    return "\n".join(lines) + "\n"
