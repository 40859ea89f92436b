"""Indexes files: sends what is new and follows it until it can be found."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice

from lookalike.wire.errors import AlreadyExists, LookalikeError, NotFound
from lookalike_client import Client
from lookalike_client.indexing import aftermath, resume
from lookalike_client.indexing.ledger import FileFailure, Ledger, Tally
from lookalike_client.indexing.scan import FileEntry
from lookalike_client.inputs import QueuedMutation
from lookalike_client.types import Collection, Metadata

_TICK_S = 0.1
# Each claim costs a write to the disk, and each image of one is hashed before the first is sent.
_CLAIMED_AT_ONCE = 16
# Times in a row that the service must say that all has ended, and tell nothing, until
# what is open is looked up: its own look for losses may be under way at the first.
_QUIET_ENDS = 3


@dataclass(frozen=True, slots=True)
class IndexJob:
    """What to index. `job_id` groups the outcomes; `resend` sends all files again.

    `metadata` is by file id; where there is none, what is stored stays, unless
    `replace_metadata` asks to empty it. `refused` are files that cannot be indexed.
    `claim` is told the hashes of images by id before they are sent.
    """

    collection: str
    files: Sequence[FileEntry]
    metadata: Mapping[str, Metadata]
    job_id: str
    resend: bool = False
    replace_metadata: bool = False
    refused: Sequence[FileFailure] = ()
    wait: bool = True
    claim: Callable[[Mapping[str, str]], None] | None = None


def ensure_collection(client: Client, name: str, thumbnail_side_px: int = 0) -> Collection:
    """Return the collection; create it, bound to the default model, if it is not there."""
    try:
        return client.collections.get(name)
    except NotFound:
        pass
    try:
        return client.collections.create(name, thumbnail_side_px=thumbnail_side_px)
    except AlreadyExists:  # somebody else was quicker
        return client.collections.get(name)


def run(client: Client, job: IndexJob, progress: Callable[[Tally], None]) -> Ledger:
    """Index the files of `job`; `progress` is called often, from this thread.

    Returns when all is queued, or, with `wait`, when all has ended.

    Raises:
        LookalikeError: the service refuses the job as a whole or stays away.
    """
    ledger = Ledger(failures=list(job.refused))
    with _following(client, job, ledger) as follower:
        for acceptance in client.submit_images(
            job.collection, _mutations(client, job, ledger, progress), job_id=job.job_id
        ):
            ledger.accept(acceptance)
            progress(ledger.tally())
        follower.all_sent()
        while job.wait and not ledger.all_ended():
            follower.check()
            progress(ledger.tally())
            time.sleep(_TICK_S)
    if job.wait:
        aftermath.note_marks(client, job.collection, ledger)
    progress(ledger.tally())
    return ledger


def _mutations(
    client: Client, job: IndexJob, ledger: Ledger, progress: Callable[[Tally], None]
) -> Iterator[QueuedMutation]:
    wanted = resume.Wanted(job.metadata, job.replace_metadata)
    actions = resume.compare(client, job.collection, job.files, wanted, resend=job.resend)
    while some := list(islice(actions, _CLAIMED_AT_ONCE)):
        if job.claim is not None:
            job.claim(resume.image_hashes(some))
        for action in some:
            if isinstance(action, resume.Unchanged):
                ledger.leave_out()
                progress(ledger.tally())
            else:
                yield action


class _Follower:
    """Watches the job's outcomes on a thread of its own."""

    def __init__(self, client: Client, job: IndexJob, ledger: Ledger) -> None:
        self._client, self._job, self._ledger = client, job, ledger
        self._stop, self._sent = threading.Event(), threading.Event()
        self._error: LookalikeError | None = None
        self._thread = threading.Thread(target=self._follow, name="lookalike-watch", daemon=True)

    def start(self) -> None:
        """Start watching."""
        self._thread.start()

    def all_sent(self) -> None:
        """Say that nothing more will be accepted."""
        self._sent.set()

    def stop(self) -> None:
        """Stop watching; the thread ends with its next outcome or with the client."""
        self._stop.set()

    def check(self) -> None:
        """Raise the error that ended the thread.

        Raises:
            LookalikeError: the outcomes cannot be watched.
        """
        if self._error is not None:
            raise self._error

    def _follow(self) -> None:
        cursor, quiet = "", 0
        try:
            # The service ends a stream when all that was accepted so far has ended:
            # more may be accepted after that.
            while not self._stop.wait(_TICK_S):
                quiet += self._sent.is_set()
                for event in self._client.watch_ingest(self._job.job_id, cursor=cursor):
                    cursor, quiet = event.cursor, 0
                    self._ledger.end(event.result)
                    if self._stop.is_set():
                        return
                if quiet >= _QUIET_ENDS:
                    aftermath.look_up_untold(self._client, self._job.collection, self._ledger)
        except LookalikeError as error:
            self._error = error
        except ValueError:  # what gRPC raises for a call on a channel that was closed
            return


@contextmanager
def _following(client: Client, job: IndexJob, ledger: Ledger) -> Iterator[_Follower]:
    follower = _Follower(client, job, ledger)
    if job.wait:
        follower.start()
    try:
        yield follower
    finally:
        follower.stop()
