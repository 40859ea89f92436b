"""What holds for every test."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

# How fast examples are made says something of the machine, and nothing of the code.
settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")


@pytest.fixture(autouse=True, scope="session")
def folders_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What commands remember of folders is not kept where the user's is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOOKALIKE_SYNC_STATE", str(tmp_path_factory.mktemp("state") / "sync.sqlite"))
        yield
