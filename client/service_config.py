"""Writes client/examples/service-config.json from the contract: `make proto` runs it.

Any gRPC client takes such a file: it spreads calls over all addresses that a name stands
for, and repeats those calls that the contract says may be repeated.
"""

from __future__ import annotations

import json
from pathlib import Path

from lookalike.wire.channel import service_config
from lookalike_client.calls import idempotent_calls

PATH = Path(__file__).with_name("examples") / "service-config.json"


def text() -> str:
    """Return what the file should hold."""
    # Deadlines are the caller's, call by call: a timeout here would bound all of them.
    policy = json.loads(service_config(idempotent_calls(), timeout_s=1.0))
    for method in policy["methodConfig"]:
        del method["timeout"]
    return json.dumps({"loadBalancingConfig": [{"round_robin": {}}], **policy}, indent=2) + "\n"


if __name__ == "__main__":
    PATH.write_text(text(), encoding="utf-8")
