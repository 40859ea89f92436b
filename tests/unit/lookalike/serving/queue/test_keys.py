"""Names of the keys."""

from __future__ import annotations

from lookalike.serving.queue.keys import QueueKeys


def test_all_keys_lie_in_one_slot() -> None:
    keys = QueueKeys("mine")
    names = [
        *(keys.stream, keys.stream_bytes, keys.attempts, keys.dead, keys.dead_bytes),
        *(keys.dead_entry("1-0"), keys.versions("uid"), keys.worker("w{x}")),
        *(keys.job("job"), keys.job_events("job")),
    ]
    assert {name[: name.index("}") + 1] for name in names} == {"{mine}"}
    assert len(set(names)) == len(names)
