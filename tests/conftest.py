"""What holds for every test."""

from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True, scope="session")
def folders_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What commands remember of folders is not kept where the user's is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOOKALIKE_SYNC_STATE", str(tmp_path_factory.mktemp("state") / "sync.sqlite"))
        yield
