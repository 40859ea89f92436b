"""Reads images that a caller names instead of sending.

They are read here, at the front door, and not by the worker: the caller learns
at once that a reference is wrong, what may be read is set in one place, and a
version always stands for the same bytes, however often it is delivered and
whatever becomes of the file meanwhile.
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from lookalike.wire.errors import (
    Exhausted,
    ImageTooLarge,
    LookalikeError,
    Reason,
    ReferenceInvalid,
    Unavailable,
)

if TYPE_CHECKING:
    from obstore.store import ClientConfig, GCSStore, S3Store

    from search_service.ingest.settings import ReferenceSettings

_MAX_URI_CHARACTERS = 4_096
_NOBODY = {"client_email": "", "private_key": "", "private_key_id": ""}


class References:
    """Reads references that the settings allow, a bounded number at a time."""

    def __init__(self, settings: ReferenceSettings) -> None:
        self._settings = settings
        self._max_bytes = settings.max_reference_bytes
        self._roots = tuple(Path(os.path.realpath(root)) for root in settings.image_roots)
        self._places = asyncio.Semaphore(settings.max_concurrent_references)
        self._stores: dict[str, S3Store | GCSStore] = {}

    async def read(self, uri: str, *, field: str) -> bytes:
        """Return the bytes that `uri` names.

        Raises:
            ReferenceInvalid: not allowed, or nothing readable there.
            ImageTooLarge: larger than an image may be.
            Exhausted: the object store is away or slow; try again.
        """
        if len(uri) > _MAX_URI_CHARACTERS:
            raise ReferenceInvalid(
                f"has {len(uri):,} characters; the limit is {_MAX_URI_CHARACTERS:,}", field=field
            )
        try:
            parts = urlsplit(uri)
        except ValueError as error:
            raise _not_a_reference(field) from error
        async with self._places:
            if parts.scheme == "file" and parts.netloc in ("", "localhost"):
                path = Path(unquote(parts.path))
                return await asyncio.to_thread(self._read_file, path, field)
            if parts.scheme in ("s3", "gs") and parts.netloc and len(parts.path) > 1:
                key = uri.split("://", 1)[1].split("/", 1)[1]
                return await self._read_object(parts.scheme, parts.netloc, key, field)
        raise _not_a_reference(field)

    def _read_file(self, path: Path, field: str) -> bytes:
        try:
            real = Path(os.path.realpath(path, strict=False))
            if not any(real.is_relative_to(root) for root in self._roots):
                raise ReferenceInvalid(
                    "lies outside the folders that are allowed (the search service's setting "
                    "image_roots)",
                    field=field,
                )
            # The path is resolved: a link in its place now is not the file we judged.
            # NONBLOCK: a FIFO must not hold the thread.
            handle = os.open(real, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except (OSError, ValueError) as error:
            raise _unreadable(error, field) from error
        try:
            status = os.fstat(handle)
            if not stat.S_ISREG(status.st_mode):
                raise ReferenceInvalid("is not a file", field=field)
            self._check_size(status.st_size, field)
            with os.fdopen(handle, "rb", closefd=False) as file:
                data = file.read(self._max_bytes + 1)
        except OSError as error:
            raise _unreadable(error, field) from error
        finally:
            os.close(handle)
        self._check_size(len(data), field)
        return data

    async def _read_object(self, scheme: str, bucket: str, key: str, field: str) -> bytes:
        if f"{scheme}:{bucket}" not in self._settings.image_buckets:
            raise ReferenceInvalid(
                "lies in a bucket that is not allowed (the search service's setting image_buckets)",
                field=field,
            )
        import obstore
        from obstore.exceptions import BaseError, GenericError

        store = self._store(scheme, bucket)
        try:
            async with asyncio.timeout(self._settings.reference_timeout_s):
                answer = await obstore.get_async(store, key)
                self._check_size(int(answer.meta["size"]), field)
                data = bytearray()
                async for chunk in answer.stream():
                    data += memoryview(chunk)
                    self._check_size(len(data), field)
        except TimeoutError as error:
            raise Exhausted("the object store did not answer in time; send again later") from error
        except FileNotFoundError as error:
            raise ReferenceInvalid("there is no such object", field=field) from error
        except GenericError as error:
            # What obstore could not put a name to after its own retries: transport.
            raise Exhausted("the object store cannot be reached; send again later") from error
        except (BaseError, OSError, ValueError) as error:
            raise _unreadable(error, field) from error
        return bytes(data)

    def _store(self, scheme: str, bucket: str) -> S3Store | GCSStore:
        name = f"{scheme}:{bucket}"
        if name not in self._stores:
            self._stores[name] = _open_store(scheme, bucket, self._settings)
        return self._stores[name]

    def _check_size(self, size_bytes: int, field: str) -> None:
        if size_bytes > self._max_bytes:
            raise ImageTooLarge(
                f"the file has {size_bytes:,} bytes; the limit is {self._max_bytes:,} (the search "
                "service's setting max_reference_bytes): name a smaller copy, or raise the limit",
                field=field,
            )


def _open_store(scheme: str, bucket: str, settings: ReferenceSettings) -> S3Store | GCSStore:
    """Open a bucket; credentials come from the places that its SDKs look in."""
    from obstore.store import GCSStore, S3Store

    endpoint = settings.gs_endpoint_url if scheme == "gs" else settings.s3_endpoint_url
    options: ClientConfig = {"allow_http": endpoint.startswith("http://")}
    if scheme == "gs":
        if endpoint:
            # The one way that the library knows to another endpoint.
            account = {"gcs_base_url": endpoint, "disable_oauth": True, **_NOBODY}
            return GCSStore(bucket, service_account_key=json.dumps(account), client_options=options)
        return GCSStore(bucket)
    if endpoint:
        return S3Store(bucket, endpoint=endpoint, client_options=options)
    return S3Store(bucket)


def _not_a_reference(field: str) -> LookalikeError:
    return ReferenceInvalid(
        'use "file:///folder/name", "s3://bucket/key" or "gs://bucket/key"', field=field
    )


def _unreadable(error: Exception, field: str) -> LookalikeError:
    number = getattr(error, "errno", None)
    if number in (errno.EMFILE, errno.ENFILE, errno.EIO):
        return Unavailable("the file cannot be read now", reason=Reason.NOT_READY)
    if number in (errno.ENOENT, errno.ENOTDIR):
        return ReferenceInvalid("there is no such file", field=field)
    return ReferenceInvalid("cannot be read", field=field)
