"""A search for duplicates whose service is killed goes on, over a real socket.

Its child ends with the service, with a call that is cancelled, and with one that runs out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import grpc
import numpy as np
import pytest
from PIL import Image, ImageFilter

from embedder_service.decode.facts import grey_thumbnail, working_luminance
from lookalike.v1 import analysis_pb2_grpc
from lookalike.v1 import duplicates_pb2 as pb
from lookalike.v1.image_pb2 import ImageFacts
from search_service.analysis.checkpoint import Checkpoint
from tests.children import children_of
from tests.integration.search_server import SearchServer, item, running

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]

DIMENSION = 16
# Near vectors of 48 pictures, 12 at a time, each with two copies: 2,520 comparisons.
MOTIFS, PICTURES, COPIES = 4, 12, 2
COMPARING = "comparing pictures"
# The stages in which the service is killed, and how far they are.
KILLS = {
    False: [(COMPARING, 0.2), (COMPARING, 0.6)],
    True: [(COMPARING, 0.5), ("looking for turned pictures", 0.05)],
}
GONE_S = 10.0


def requests(turned: bool) -> pb.FindDuplicatesRequest:
    return pb.FindDuplicatesRequest(collection="images", threshold=0.9, turned=turned)


def fill(server: SearchServer) -> None:
    rng = np.random.default_rng(17)
    server.create("images", DIMENSION)
    for motif in range(MOTIFS):
        centre = rng.normal(size=DIMENSION)
        items = []
        for number in range(PICTURES):
            noise = rng.integers(0, 256, size=(12, 16, 3), dtype=np.uint8)
            picture = Image.fromarray(noise).resize((256, 192), Image.Resampling.BICUBIC)
            made = [picture.filter(ImageFilter.GaussianBlur(0.5 * n)) for n in range(COPIES + 1)]
            made[-1] = made[-1].transpose(Image.Transpose.ROTATE_90)
            for copy, each in enumerate(made):
                facts = ImageFacts(
                    width_px=each.width,
                    height_px=each.height,
                    grey_webp=grey_thumbnail(working_luminance(each)),
                )
                vector = centre + rng.normal(scale=0.03, size=DIMENSION)
                items.append(item(f"{motif}/{number}/{copy}", vector.tolist(), facts=facts))
        assert all(not result.HasField("error") for result in server.upsert("images", items))


Answer = tuple[list[pb.DuplicateGroup], pb.DuplicatesSummary]


def answer(stream: Iterator[pb.FindDuplicatesResponse]) -> Answer:
    parts = list(stream)
    return [group for part in parts for group in part.groups.groups], parts[-1].summary


def told(stream: Iterator[pb.FindDuplicatesResponse], stage: str, share: float) -> bool:
    """Follow a run until it is so far; return whether it came there."""
    return any(
        part.progress.stage == stage and part.progress.done >= share * part.progress.total
        for part in stream
        if part.HasField("progress")
    )


def children(server: SearchServer) -> list[Path]:
    """Return the processes of analyses that the service has started."""
    pids = children_of(server.process.pid, running="search_service.analysis.child")
    return [Path("/proc", str(pid)) for pid in pids]


def eventually(check: Callable[[], bool]) -> None:
    deadline = time.monotonic() + GONE_S
    while not check():
        assert time.monotonic() < deadline, "it is still there"
        time.sleep(0.02)


@contextmanager
def started(
    server: SearchServer, request: pb.FindDuplicatesRequest
) -> Iterator[Iterator[pb.FindDuplicatesResponse]]:
    stream = analysis_pb2_grpc.AnalysisServiceStub(server.channel).FindDuplicates(request)
    yield stream
    stream.cancel()


def records(kept: Path) -> bytes:
    (path,) = kept.iterdir()
    return path.read_bytes()


@pytest.mark.parametrize("turned", [False, True])
def test_a_run_goes_on_after_each_kill_of_its_service(tmp_path: Path, turned: bool) -> None:
    request, kept = requests(turned), tmp_path / "resumable"
    with running(tmp_path) as server:
        fill(server)
        with started(server, request) as stream:
            whole = answer(stream)
        assert len(whole[0]) >= MOTIFS
        assert list(kept.iterdir()) == []

    before = b""
    for stage, share in KILLS[turned]:
        server = SearchServer(tmp_path)
        try:
            with started(server, request) as stream:
                assert told(stream, stage, share)
                (child,) = children(server)
                server.kill()
        finally:
            server.stop()
        eventually(lambda gone=child: not gone.exists())  # type: ignore[misc]
        after = records(kept)
        # What the one before had found is as it was, and was not found again: a part that is
        # looked for a second time is kept a second time.
        assert after.startswith(before)
        assert len(after) > len(before)
        assert twice(after) == 0
        before = after

    with running(tmp_path) as server, started(server, request) as stream:
        assert answer(stream) == whole
        assert list(kept.iterdir()) == []
        assert children(server) == []


def twice(data: bytes) -> int:
    """Return how many records stand in it more than once."""
    ends: list[bytes] = []
    at = 0
    while at + 24 <= len(data):
        length = int.from_bytes(data[at : at + 4], "little")
        if at + 24 + length > len(data):
            break
        ends.append(data[at + 8 : at + 24])
        at += 24 + length
    assert len(ends) > 1
    return len(ends) - len(set(ends))


def test_a_cancelled_run_leaves_nothing_behind(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        fill(server)
        for cancelled in (True, False):
            # A call that runs out of time ends as one that is cancelled does.
            stub = analysis_pb2_grpc.AnalysisServiceStub(server.channel)
            stream = stub.FindDuplicates(requests(False), timeout=None if cancelled else 4.0)
            with pytest.raises(grpc.RpcError) as refused:
                for part in stream:
                    if cancelled and part.progress.stage == COMPARING:
                        assert children(server)
                        stream.cancel()
            code = grpc.StatusCode.CANCELLED if cancelled else grpc.StatusCode.DEADLINE_EXCEEDED
            assert refused.value.code() is code
            eventually(lambda: children(server) == [])
            eventually(lambda: list((tmp_path / "analysis").iterdir()) == [])
        with closing(Checkpoint(tmp_path / "resumable", "another")) as other:
            other.end()  # nobody holds the directory
        with started(server, requests(False)) as again:
            assert len(answer(again)[0]) >= MOTIFS
