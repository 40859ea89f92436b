"""embed.1 and embed.2: the rate, against the bare runtime and other servers."""

from __future__ import annotations

from tests.bench.embed import rivals
from tests.bench.embed.bare import Bare, BareLoop
from tests.bench.embed.load import in_process
from tests.bench.embed.run import Missing, Run
from tests.bench.report import median
from tests.integration.embedder_process import EmbedderProcess

RAW = "images/s through gRPC, 32 in flight, raw pixels, over the bare OpenVINO loop"
JPEG = "images/s through gRPC, 260-px JPEGs, over what the CPU time of decode and forward allows"
TORCH = "images/s, 260-px JPEGs, over torch eager channels_last behind a plain unary handler"
LITSERVE = "images/s, 260-px JPEGs, over LitServe with the same network in torch"
EXPECTED = (
    ("embed.1a", RAW, "ratio", ">= 0.9"),
    ("embed.1b", JPEG, "ratio", ">= 0.9"),
    ("embed.2a", TORCH, "ratio", ">= 3"),
    ("embed.2b", LITSERVE, "ratio", "> 1"),
)
_ROUNDS = 3


def measure(run: Run) -> None:
    """Take turns between bare loop and server, so that a drifting machine cancels out."""
    loop = BareLoop(run.precision)
    with run.server() as server:
        bare = loop.measure(run.seconds(18))
        best = max(bare.images_per_s, key=lambda batch: bare.images_per_s[batch])
        bares, raws, jpegs = [], [], []
        for _ in range(_ROUNDS):
            bares.append(loop.best_rate(best, run.seconds(8)))
            raws.append(_rate(server, "raw", run.seconds(12)))
            jpegs.append(_rate(server, "jpeg", run.seconds(12)))
        again = loop.measure(run.seconds(18))
    _add_rows(run, bare, again, median(bares), median(raws), median(jpegs))
    if run.wants("2"):
        _against_rivals(run, median(jpegs))


def _add_rows(
    run: Run, bare: Bare, again: Bare, bare_rate: float, raw_rate: float, jpeg_rate: float
) -> None:
    bound = (bare.cpu_bound + again.cpu_bound) / 2
    rates: dict[str, object] = {
        str(batch): round(rate, 1) for batch, rate in bare.images_per_s.items()
    }
    run.report.stated("embed.1c", "bare OpenVINO images/s by batch size", rates, "images/s")
    run.report.stated("embed.1d", "images/s through gRPC, raw pixels", raw_rate, "images/s")
    run.report.stated("embed.1e", "images/s through gRPC, 260-px JPEGs", jpeg_rate, "images/s")
    detail = f" ({raw_rate:.1f} / {bare_rate:.1f})"
    run.report.at_least("embed.1a", RAW + detail, raw_rate / bare_rate, "ratio", 0.9)
    detail = (
        f" ({jpeg_rate:.1f} / {bound:.1f}; decode {bare.decode_cpu_s * 1e3:.1f} ms"
        f" + forward {bare.forward_cpu_s * 1e3:.1f} ms of CPU)"
    )
    run.report.at_least("embed.1b", JPEG + detail, jpeg_rate / bound, "ratio", 0.9)


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
