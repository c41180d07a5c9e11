"""Object storage as the store of logs needs it: new objects are put under a condition, whole ones are got.

By obstore, one interface to S3 and what speaks like it, to Google Cloud Storage and to Azure. It tries again by itself
what a server could not answer at once.
"""

from __future__ import annotations

import os
import re
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from typing import Any, cast

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import from_url

from quire.adapters.stores.address import options_of, shown
from quire.core.errors import DefinitionError, StoreError

__all__ = ["Bucket"]

_obstore, _from_url = cast("tuple[Any, Any]", (obstore, from_url))
"""Their types know one vendor at a time, and not what was read from an address."""

_PATIENCE: dict[str, Any] = {"max_retries": 5, "retry_timeout": timedelta(seconds=30)}
# Whether a connection is encrypted, the address says; nobody writes http:// by mistake into one.
_CLIENT: dict[str, Any] = {"connect_timeout": "10s", "timeout": "60s", "allow_http": True}

_processes: list[int] = []
"""The process in which obstore has begun its threads, which no fork of it has."""

_NO_BUCKET = re.compile(r"NoSuchBucket|ContainerNotFound|bucket does not exist")
_SAYS = re.compile(r"<Code>(.*?)</Code>.*?<Message>(.*?)</Message>")
_QUERY = re.compile(r"(https?://[^\s?]+)\?\S+")
_LONGEST = 300


class Bucket:
    """Objects by name.

    Raises:
        DefinitionError: the address cannot be read, or an option in it is none.

    Example:
        >>> Bucket("s3://my-bucket/logs?access_key_id=me&secret_access_key=hidden").place
        's3://my-bucket/logs'
    """

    def __init__(self, url: str) -> None:
        self.place = shown(url)
        options = options_of(url)
        try:
            self._objects = _from_url(self.place, config=options, client_options=_CLIENT, retry_config=_PATIENCE)
        except (BaseError, ValueError) as error:
            reason = _reason(error)
            for value in filter(None, options.values()):
                reason = reason.replace(value, "...")  # it may be a key
            remedy = "Options are those of obstore, such as endpoint, region, access_key_id and secret_access_key."
            raise DefinitionError(
                f"Object storage cannot be used so: {reason}", where=self.place, remedy=remedy
            ) from None

    async def put(self, name: str, content: bytes) -> bool:
        """Put a new object; return whether there was none of that name."""
        with self._explained("written"):
            try:
                await _obstore.put_async(self._usable(), name, content, mode="create", use_multipart=False)
            except AlreadyExistsError:
                return False
        return True

    async def get(self, name: str) -> bytes | None:
        """Return an object's content; `None` if there is none."""
        with self._explained("read"):
            try:
                found = await _obstore.get_async(self._usable(), name)
                return bytes(await found.bytes_async())
            except FileNotFoundError as error:
                return self._nothing(error)

    async def beginning(self, name: str, size: int) -> bytes | None:
        """Return the first bytes of an object that is at least so long; `None` if there is none."""
        with self._explained("read"):
            try:
                return bytes(await _obstore.get_range_async(self._usable(), name, start=0, end=size))
            except FileNotFoundError as error:
                return self._nothing(error)

    async def names(self, folder: str) -> list[tuple[datetime, str]]:
        """Return when the objects in a folder, and in those inside it, were last written, and their names."""
        with self._explained("listed"):
            found = await _obstore.list(self._usable(), folder).collect_async()
        return [(entry["last_modified"], entry["path"]) for entry in found]

    async def delete(self, names: Sequence[str]) -> None:
        """Delete objects; one that is not there is no error."""
        with self._explained("deleted"), suppress(FileNotFoundError):
            await _obstore.delete_async(self._usable(), names)

    def _usable(self) -> Any:
        if not _processes:
            _processes.append(os.getpid())
        if os.getpid() not in _processes:
            raise StoreError(
                "Object storage cannot be used in a process that was forked from one that uses it.",
                where=self.place,
                remedy='Start processes afresh: multiprocessing.get_context("spawn").',
            )
        return self._objects

    def _nothing(self, error: FileNotFoundError) -> None:
        if _NO_BUCKET.search(str(error)):
            raise error

    @contextmanager
    def _explained(self, done: str) -> Generator[None]:
        """Turn a refusal into one that says what to do; what it was made from may hold a signature, and is left out."""
        try:
            yield
        except (UnauthenticatedError, PermissionDeniedError) as error:
            remedy = "See that the keys are right, and that they give the right to list, get, put and delete objects."
            raise self._refused(done, error, remedy) from None
        except (BaseError, OSError) as error:
            remedy = "See that the bucket is there, and that the address of the store leads to it."
            raise self._refused(done, error, remedy) from None

    def _refused(self, done: str, error: Exception, remedy: str) -> StoreError:
        return StoreError(f"A log could not be {done}: {_reason(error)}", where=self.place, remedy=remedy)


def _reason(error: Exception) -> str:
    """Return what the storage says, without its inner details, and without what signs a request."""
    words = " ".join(str(error).partition("\n\nDebug source")[0].split())
    if found := _SAYS.search(words):
        return f"{found[2].rstrip('.')} ({found[1]})."
    return _QUERY.sub(r"\1", words)[:_LONGEST]
