"""embed.1 and embed.2: the rate, against the bare runtime and other servers."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from tests.bench.embed import rivals
from tests.bench.embed.bare import BareLoop
from tests.bench.embed.load import in_process
from tests.bench.embed.run import Missing, Run
from tests.bench.report import median
from tests.integration.embedder_process import EmbedderProcess

RAW = "images/s through gRPC, 32 in flight, raw pixels, over the fastest bare OpenVINO loop"
JPEG = "images/s through gRPC, 260-px JPEGs, over what the CPU time of decode and forward allows"
TORCH = "images/s, 260-px JPEGs, over torch eager channels_last behind a plain unary handler"
LITSERVE = "images/s, 260-px JPEGs, over LitServe with the same network in torch"
EXPECTED = (
    ("embed.1a", RAW, "ratio", ">= 0.9"),
    ("embed.1b", JPEG, "ratio", ">= 0.9"),
    ("embed.2a", TORCH, "ratio", ">= 3"),
    ("embed.2b", LITSERVE, "ratio", "> 1"),
)
# Short and many: the machine's pace drifts within a minute.
_ROUNDS = 6


@dataclass
class Rounds:
    """What each round measured."""

    bare: list[float] = field(default_factory=list)
    apart: list[float] = field(default_factory=list)
    forward_cpu_s: list[float] = field(default_factory=list)
    decode_cpu_s: list[float] = field(default_factory=list)
    raw: list[float] = field(default_factory=list)
    jpeg: list[float] = field(default_factory=list)


def measure(run: Run) -> None:
    """Take turns between bare loop and server, so that a drifting machine cancels out."""
    loop = BareLoop(run.precision)
    rounds = Rounds()
    with run.server() as server:
        rates = loop.rates(run.seconds(18))
        apart = loop.rates_apart(run.seconds(9))
        best = max(rates, key=lambda batch: rates[batch])
        best_apart = max(apart, key=lambda batch: apart[batch])
        for _ in range(_ROUNDS):
            rounds.raw.append(_rate(server, "raw", run.seconds(8)))
            rate, cpu_s = loop.forward(best, run.seconds(5))
            rounds.bare.append(rate)
            rounds.forward_cpu_s.append(cpu_s)
            rounds.apart.append(loop.forward_apart(best_apart, run.seconds(5)))
            rounds.decode_cpu_s.append(loop.decode_cpu_s())
            rounds.jpeg.append(_rate(server, "jpeg", run.seconds(8)))
    for row, what, by in (
        ("embed.1c", "bare OpenVINO images/s by batch size, one loop on all cores", rates),
        ("embed.1f", "bare OpenVINO images/s by batch size, a loop and a stream a core", apart),
    ):
        by_batch: dict[str, object] = {str(batch): round(rate, 1) for batch, rate in by.items()}
        run.report.stated(row, what, by_batch, "images/s")
    _add_rows(run, rounds)
    if run.wants("2"):
        _against_rivals(run, median(rounds.jpeg))


def _add_rows(run: Run, rounds: Rounds) -> None:
    bare, raw, jpeg = median(rounds.bare), median(rounds.raw), median(rounds.jpeg)
    decode_s, forward_s = median(rounds.decode_cpu_s), median(rounds.forward_cpu_s)
    bound = len(os.sched_getaffinity(0)) / (decode_s + forward_s)
    run.report.stated("embed.1d", "images/s through gRPC, raw pixels", raw, "images/s")
    run.report.stated("embed.1e", "images/s through gRPC, 260-px JPEGs", jpeg, "images/s")
    apart = median(rounds.apart)
    fastest = max(bare, apart)
    detail = f" ({raw:.1f} / {fastest:.1f}; one loop {bare:.1f}, a loop a core {apart:.1f})"
    run.report.at_least("embed.1a", RAW + detail, raw / fastest, "ratio", 0.9)
    what = "the same over one loop on all cores, at its best batch size"
    run.report.stated("embed.1g", what, raw / bare, "ratio")
    detail = (
        f" ({jpeg:.1f} / {bound:.1f}; decode {decode_s * 1e3:.1f} ms"
        f" + forward {forward_s * 1e3:.1f} ms of CPU)"
    )
    run.report.at_least("embed.1b", JPEG + detail, jpeg / bound, "ratio", 0.9)


def _against_rivals(run: Run, jpeg_rate: float) -> None:
    seconds = run.seconds(20)
    rate = rivals.torch_handler_rate(seconds)
    detail = f" ({jpeg_rate:.1f} / {rate:.1f})"
    run.report.at_least("embed.2a", TORCH + detail, jpeg_rate / rate, "ratio", 3)
    for row, what, runtime in (
        ("embed.2b", LITSERVE, "torch"),
        ("embed.2c", "the same over LitServe with our OpenVINO runtime inside", "openvino"),
    ):
        try:
            rate = rivals.litserve_rate(runtime, seconds)
        except Missing as error:
            run.report.missing(row, what, "ratio", "> 1", reason=str(error))
            continue
        detail = f" ({jpeg_rate:.1f} / {rate:.1f})"
        run.report.at_least(row, what + detail, jpeg_rate / rate, "ratio", 1)
    run.report.stated(
        "embed.2d",
        "infinity-emb: serves transformers checkpoints of CLIP-like models only, not this network",
        "cannot serve it",
        "",
    )


def _rate(server: EmbedderProcess, kind: str, seconds: float) -> float:
    return in_process(server.target, kind, "bulk", seconds).result()
