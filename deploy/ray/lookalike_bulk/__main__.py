"""`python -m lookalike_bulk`: what `lookalike bulk-index` runs."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict

from lookalike.wire.errors import LookalikeError
from lookalike_bulk.options import OptionsInvalid, parse
from lookalike_bulk.pipeline import run


def main() -> int:
    """Run a job; return the exit code: 1 where images failed, 2 where nothing was published."""
    try:
        options, server = parse(sys.argv[1:], os.environ)
        report = run(options, server, (lambda _: None) if options.json else _say)
    except LookalikeError as error:
        return _refuse(error.message)
    except (OptionsInvalid, OSError) as error:
        return _refuse(str(error))
    if options.json:
        print(json.dumps(asdict(report), default=str))
        return 1 if report.failures else 0
    rate = report.embedded / report.embed_s if report.embed_s else 0.0
    _say(f"{report.embedded:,} images embedded in {report.embed_s:,.1f} s, {rate:,.1f} a second")
    _say(f'"{options.collection}" has {report.items:,} items; built in {report.build_s:,.1f} s')
    if report.failures:
        _say(f"{report.failures:,} images failed: {report.failures_file} says which and why")
        return 1
    return 0


def _say(text: str) -> None:
    print(text, flush=True)


def _refuse(text: str) -> int:
    print(f"lookalike bulk-index: {text}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
