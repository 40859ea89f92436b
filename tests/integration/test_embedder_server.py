"""The embedder as its callers meet it: a process, a socket, real weights."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TypeAlias

import grpc
import numpy as np
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status
from PIL import Image

from lookalike.v1 import embedder_pb2 as pb
from lookalike.v1 import embedder_pb2_grpc, errors_pb2
from lookalike.wire import vectors
from tests.hostile.files import encoded, hostile_files, photo
from tests.integration.embedder_process import ROOT, EmbedderProcess, arguments_for

Stub: TypeAlias = "embedder_pb2_grpc.EmbedderServiceAsyncStub"

pytestmark = pytest.mark.timeout(180)

PHOTOS = [encoded(photo(random.Random(n), 320, 240), "JPEG") for n in range(12)]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def server(cache: Path) -> Iterator[EmbedderProcess]:
    models = ("efficientnet-lite0", "efficientnet-lite0@gem")
    arguments = (*arguments_for(cache, models), "--metrics-port", "0")
    process = EmbedderProcess(*arguments, log=cache / "embedder.log")
    yield process
    assert process.stop() == 0


@pytest.fixture
async def stub(
    server: EmbedderProcess,
) -> AsyncIterator[Stub]:
    async with server.aio_channel() as channel:
        yield embedder_pb2_grpc.EmbedderServiceStub(channel)


async def test_models_are_described(stub: Stub) -> None:
    listed = (await stub.ListModels(pb.ListModelsRequest())).models
    assert [model.name for model in listed] == ["efficientnet-lite0", "efficientnet-lite0@gem"]
    for model in listed:
        assert (model.dimension, model.input_size_px, model.precision) == (1280, 224, "f32")
        assert model.runtime == "openvino"
        assert model.limits.max_image_pixels == 50_000_000
        assert "AVIF" in model.limits.formats
        assert len(model.fingerprint) == len(model.weights_sha256) == 64
        by_print = await stub.GetModel(pb.GetModelRequest(model=model.fingerprint))
        assert by_print.model == model
    assert listed[0].fingerprint != listed[1].fingerprint
    assert (await stub.GetModel(pb.GetModelRequest())).model == listed[0]
    with pytest.raises(grpc.aio.AioRpcError) as unknown:
        await stub.GetModel(pb.GetModelRequest(model="nobody"))
    assert unknown.value.code() is grpc.StatusCode.NOT_FOUND
    assert reason(unknown.value) == "ERROR_REASON_MODEL_NOT_FOUND"
    assert "efficientnet-lite0@gem" in (unknown.value.details() or "")


def test_nothing_forks_beside_grpc(server: EmbedderProcess, cache: Path) -> None:
    log = (cache / "embedder.log").read_text()
    assert "listening" in log
    assert "fork" not in log


async def test_one_image_gives_a_unit_vector_and_its_facts(stub: Stub) -> None:
    answer = (await stub.EmbedImage(pb.EmbedImageRequest(encoded=PHOTOS[0]))).embedding
    vector = vectors.decode(answer.vector_f32_le, field="vector", dimension=1280)
    assert abs(float(np.linalg.norm(vector)) - 1) < 1e-5
    facts = answer.facts
    assert (facts.width_px, facts.height_px, facts.format) == (320, 240, "JPEG")
    assert facts.size_bytes == len(PHOTOS[0])
    assert len(facts.sha256) == 32
    assert facts.thumbnail_webp == b""


async def test_streams_unary_calls_and_batches_agree(stub: Stub) -> None:
    alone = [
        vector_of((await stub.EmbedImage(pb.EmbedImageRequest(encoded=data))).embedding)
        for data in PHOTOS
    ]
    order = list(range(len(PHOTOS)))
    for lane in (pb.LANE_QUERY, pb.LANE_BULK):
        random.Random(lane).shuffle(order)
        requests = [
            pb.EmbedImagesRequest(request_id=n, encoded=PHOTOS[n], lane=lane) for n in order
        ]
        answers = [answer async for answer in stub.EmbedImages(iter(requests))]
        assert sorted(answer.request_id for answer in answers) == sorted(order)
        for answer in answers:
            assert float(vector_of(answer.embedding) @ alone[answer.request_id]) >= 0.9999


async def test_raw_pixels_equal_the_same_pixels_in_a_file(stub: Stub) -> None:
    picture = photo(random.Random(5), 300, 260)
    raw = pb.RawImage(width_px=300, height_px=260, rgb8=picture.tobytes())
    one = (await stub.EmbedImage(pb.EmbedImageRequest(raw=raw))).embedding
    request = pb.EmbedImageRequest(encoded=encoded(picture, "PNG"))
    other = (await stub.EmbedImage(request)).embedding
    assert float(vector_of(one) @ vector_of(other)) >= 0.9999
    assert one.facts.perceptual_hash == other.facts.perceptual_hash
    assert len(one.facts.pixel_sha256) == 32
    assert one.facts.pixel_sha256 == other.facts.pixel_sha256
    assert one.facts.grey_webp == other.facts.grey_webp != b""


async def test_an_error_belongs_to_its_image(stub: Stub) -> None:
    requests = [
        pb.EmbedImagesRequest(request_id=1, encoded=b"no image"),
        pb.EmbedImagesRequest(request_id=2, encoded=PHOTOS[0]),
        pb.EmbedImagesRequest(request_id=3),
        pb.EmbedImagesRequest(request_id=4, encoded=PHOTOS[1], model="nobody"),
        pb.EmbedImagesRequest(request_id=5, encoded=encoded(Image.new("L", (9000, 9)), "PNG")),
        pb.EmbedImagesRequest(request_id=6, raw=pb.RawImage(width_px=9, height_px=9, rgb8=b"x")),
        pb.EmbedImagesRequest(request_id=7, raw=pb.RawImage(width_px=1 << 31, height_px=1 << 31)),
        pb.EmbedImagesRequest(request_id=8, encoded=b""),
        pb.EmbedImagesRequest(request_id=9, encoded=PHOTOS[2], lane=77),  # type: ignore[arg-type]
        pb.EmbedImagesRequest(request_id=10, encoded=PHOTOS[3]),
    ]
    answers = {a.request_id: a async for a in stub.EmbedImages(iter(requests))}
    assert {n for n, a in answers.items() if a.HasField("embedding")} == {2, 10}
    reasons = {n: a.error.reason for n, a in answers.items() if a.HasField("error")}
    assert reasons == {
        1: errors_pb2.ERROR_REASON_IMAGE_UNREADABLE,
        3: errors_pb2.ERROR_REASON_INVALID_FIELD,
        4: errors_pb2.ERROR_REASON_MODEL_NOT_FOUND,
        5: errors_pb2.ERROR_REASON_IMAGE_TOO_LARGE,
        6: errors_pb2.ERROR_REASON_INVALID_FIELD,
        7: errors_pb2.ERROR_REASON_IMAGE_TOO_LARGE,
        8: errors_pb2.ERROR_REASON_IMAGE_UNREADABLE,
        9: errors_pb2.ERROR_REASON_INVALID_FIELD,
    }


async def test_deadlines_hold_for_images_and_calls(stub: Stub, server: EmbedderProcess) -> None:
    requests = [
        pb.EmbedImagesRequest(request_id=n, encoded=PHOTOS[n % 12], timeout_ms=1, lane=pb.LANE_BULK)
        for n in range(40)
    ]
    answers = [answer async for answer in stub.EmbedImages(iter(requests))]
    late = {errors_pb2.ERROR_REASON_DEADLINE_EXCEEDED, errors_pb2.ERROR_REASON_OVERLOADED}
    assert len(answers) == 40
    assert {a.error.reason for a in answers if a.HasField("error")} <= late
    assert any(a.HasField("error") for a in answers)
    with pytest.raises(grpc.aio.AioRpcError) as expired:
        await stub.EmbedImage(pb.EmbedImageRequest(encoded=PHOTOS[0]), timeout=0.002)
    assert expired.value.code() in (
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
    )


async def test_cancelled_calls_leave_the_queue(stub: Stub, server: EmbedderProcess) -> None:
    before = counted(server, "lookalike_embedder_images_total")
    calls = [
        stub.EmbedImage(pb.EmbedImageRequest(encoded=PHOTOS[n % 12], lane=pb.LANE_BULK))
        for n in range(100)
    ]
    await asyncio.sleep(0.01)
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
    await stub.EmbedImage(pb.EmbedImageRequest(encoded=PHOTOS[0]))
    assert counted(server, "lookalike_embedder_images_total") - before <= 20
    assert counted(server, "lookalike_embedder_queue_images") == 0


async def test_hostile_files_leave_the_server_serving(stub: Stub, server: EmbedderProcess) -> None:
    files = [data for _, data in hostile_files(60, seed=3)]
    requests = (
        pb.EmbedImagesRequest(request_id=n, encoded=data, lane=pb.LANE_BULK)
        for n, data in enumerate(files)
    )
    answers = [answer async for answer in stub.EmbedImages(requests)]
    assert len(answers) == len(files)
    assert not [a for a in answers if a.error.reason == errors_pb2.ERROR_REASON_INTERNAL]
    async with server.aio_channel() as channel:
        assert await health(channel) == health_pb2.HealthCheckResponse.SERVING


async def test_a_killed_decode_process_is_replaced(stub: Stub, server: EmbedderProcess) -> None:
    before = server.children()
    os.kill(before[0], signal.SIGKILL)
    calls = [stub.EmbedImage(pb.EmbedImageRequest(encoded=data)) for data in PHOTOS]
    # An image that was being decoded is decoded again by the next process.
    codes = [await call.code() for call in calls]
    assert codes == [grpc.StatusCode.OK] * len(PHOTOS)
    await stub.EmbedImage(pb.EmbedImageRequest(encoded=PHOTOS[0]))


def test_a_full_queue_refuses_with_a_delay_and_sigterm_drains(cache: Path) -> None:
    server = EmbedderProcess(*arguments_for(cache), "--max-queued-images", "4")
    channel, stub = server.sync_stub()
    children = server.children()
    try:
        calls = [
            stub.EmbedImage.future(pb.EmbedImageRequest(encoded=PHOTOS[n % 12])) for n in range(40)
        ]
        refused = [call for call in calls if call.code() is not grpc.StatusCode.OK]
        assert refused
        assert len(refused) < 40
        for call in refused:
            assert call.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert retry_delay_s(call) > 0
        last = stub.EmbedImage.future(pb.EmbedImageRequest(encoded=PHOTOS[0]))
        time.sleep(0.005)
    finally:
        code = server.stop()
    assert code == 0
    assert last.code() in (grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE)
    channel.close()
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["--models", "nothing"], 2, b"nothing"),
        (["--precision", "f8"], 2, b"precision"),
    ],
)
async def test_a_start_that_cannot_work_says_why(
    arguments: list[str], code: int, text: bytes
) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "embedder_service", "--port", "0", *arguments,
        cwd=ROOT, env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT}/protos"},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    assert process.returncode == code
    assert out == b""
    assert text in err
    assert b"Traceback" not in err


def vector_of(embedding: pb.Embedding) -> vectors.F32:
    return vectors.decode(embedding.vector_f32_le, field="vector")


def reason(error: grpc.RpcError) -> str:
    info = error_details_pb2.ErrorInfo()
    status = rpc_status.from_call(error)
    assert status is not None
    assert next(detail for detail in status.details if detail.Unpack(info))
    return str(info.reason)


def retry_delay_s(call: grpc.Call) -> float:
    retry = error_details_pb2.RetryInfo()
    status = rpc_status.from_call(call)
    assert status is not None
    assert next(detail for detail in status.details if detail.Unpack(retry))
    return int(retry.retry_delay.ToNanoseconds()) / 1e9


def counted(server: EmbedderProcess, name: str) -> float:
    url = f"http://127.0.0.1:{server.announced['metrics_port']}/metrics"
    with urllib.request.urlopen(url) as page:
        lines = page.read().decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


async def health(channel: grpc.aio.Channel) -> int:
    check = health_pb2_grpc.HealthStub(channel).Check
    return int((await check(health_pb2.HealthCheckRequest())).status)
