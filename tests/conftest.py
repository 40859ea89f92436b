"""What every test shares: an environment that is the same on every machine."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# Tests talk to servers of their own on loopback, also through clients that are not ours
# (urllib, Node), which would ask the proxy of the machine that they run on.
for _name in ("http_proxy", "https_proxy", "grpc_proxy", "all_proxy", "no_proxy", "no_grpc_proxy"):
    os.environ.pop(_name, None)
    os.environ.pop(_name.upper(), None)
# Nor may settings of an operator's shell reach the processes that tests start.
for _name in [name for name in os.environ if name.startswith("LOOKALIKE_")]:
    del os.environ[_name]

# How fast examples come says something of the machine, and nothing of the code.
settings.register_profile("anywhere", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("anywhere")
