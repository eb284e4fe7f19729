"""Fetches files of a model hub over HTTP, resumed after an interruption and checked by hash; knows no shelf.

Speaks what huggingface.co and its mirrors speak: `/REPO/resolve/REVISION/FILE`, redirected to storage, with the
file's hash in X-Linked-Etag (sha256) or, for small files, in ETag (git blob sha1).
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from termrag.errors import ModelMissing, TermragError
from termrag.events import Downloading, PullEvent, Verified
from termrag.models.catalogue import Source, SourceFile
from termrag.models.files import read_json, require_space, sha256_of, sync_file, write_json

if TYPE_CHECKING:
    import httpx

_ENDPOINT = "https://huggingface.co"
_BLOCK_BYTES = 1 << 18
_SILENCE_S = 30.0
_LONGEST_WAIT_S = 30.0


class _BrokenOff(Exception):  # noqa: N818 - not an error yet: it is tried again
    """The hub is overloaded or the stream ended early; `wait_s` is how long the hub asks to wait."""

    def __init__(self, message: str, wait_s: float = 0.0) -> None:
        super().__init__(message)
        self.wait_s = wait_s


@dataclass(frozen=True, slots=True)
class Stated:
    """What the hub says of a file: total size (0: unknown), the hash in `etag`, and the commit it belongs to."""

    size_bytes: int
    etag: str
    commit: str

    def contradicts(self, file: Path, sha256: str) -> bool:
        """Whether the hub's hash says that `file` is something else. A hash of an unknown kind says nothing."""
        if re.fullmatch("[0-9a-f]{64}", self.etag):
            return self.etag != sha256
        if re.fullmatch("[0-9a-f]{40}", self.etag):
            return self.etag != _git_blob_sha1(file)
        return False


@dataclass(frozen=True, slots=True)
class Hub:
    """One hub. `timeout_s` bounds connecting; `retry_waits_s` are the pauses between tries that bring nothing new."""

    endpoint: str = _ENDPOINT
    token: str = ""
    offline: bool = False
    timeout_s: float = 4.0
    retry_waits_s: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0, 8.0)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str], timeout_s: float) -> Hub:
        """HF_ENDPOINT, HF_TOKEN and HF_HUB_OFFLINE, as other programs that use the hub read them."""
        return cls(
            endpoint=(environ.get("HF_ENDPOINT") or _ENDPOINT).rstrip("/"),
            token=environ.get("HF_TOKEN", ""),
            offline=environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"),
            timeout_s=timeout_s,
        )

    def fetch(self, source: Source, staging: Path, recorded: Path) -> Iterator[PullEvent]:
        """Put every file of `source` into `staging`, verified. `recorded` holds the hashes of files that the catalogue
        does not pin, from their first fetch on. Raises ModelMissing without a hub, TermragError for the rest."""
        self._require_hub(source)
        require_space(staging, source.size_bytes - _bytes_in(staging))
        revision = source.revision
        with self._client() as client:
            for file in source.files:
                stated = yield from self._fetch_file(
                    client, source, file, revision=revision, staging=staging, recorded=recorded
                )
                if stated is not None and stated.commit:
                    revision = stated.commit  # a branch may move between two files

    def _require_hub(self, source: Source) -> None:
        from termrag.models.reach import is_reachable

        if self.offline:
            raise ModelMissing("the model hub is switched off by HF_HUB_OFFLINE", "unset HF_HUB_OFFLINE")
        if not is_reachable(self._url(source.hub, source.revision, source.files[0].name), self.timeout_s):
            raise ModelMissing(f"{self.endpoint} cannot be reached", f"curl -I {self.endpoint}")

    def _client(self) -> httpx.Client:
        import httpx

        headers = {"Accept-Encoding": "identity", "User-Agent": "termrag"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"  # httpx drops it when redirected to another host
        timeout = httpx.Timeout(_SILENCE_S, connect=self.timeout_s)
        return httpx.Client(headers=headers, timeout=timeout, follow_redirects=True)

    def _url(self, repository: str, revision: str, name: str) -> str:
        return f"{self.endpoint}/{repository}/resolve/{revision}/{name}"

    def _fetch_file(
        self,
        client: httpx.Client,
        source: Source,
        file: SourceFile,
        *,
        revision: str,
        staging: Path,
        recorded: Path,
    ) -> Generator[PullEvent, None, Stated | None]:
        target, part = staging / file.name, staging / f".{file.name}.part"
        key = f"{source.hub}@{source.revision}/{file.name}"
        expected = file.sha256 or str(read_json(recorded).get(key, ""))
        if target.exists() and expected and sha256_of(target) == expected:
            yield Verified(file.name, str(target))
            return None
        stated = yield from self._download(client, self._url(source.hub, revision, file.name), file, part)
        if stated is None:
            return None
        found = sha256_of(part)
        if (expected and found != expected) or stated.contradicts(part, found):
            part.unlink()
            _resume_note(part).unlink()
            hint = "" if file.sha256 else f"delete {recorded} if {source.hub} changed on purpose"
            raise TermragError(
                f"{file.name} of {source.hub} has sha256 {found}, expected {expected or stated.etag}", hint
            )
        part.replace(target)
        _resume_note(part).unlink(missing_ok=True)
        if not file.sha256:
            write_json(recorded, {**read_json(recorded), key: found})
        yield Verified(file.name, str(target))
        return stated

    def _download(
        self, client: httpx.Client, url: str, file: SourceFile, part: Path
    ) -> Generator[PullEvent, None, Stated | None]:
        """Try until the file is whole; None for an optional file that the hub does not have."""
        import httpx

        waits, furthest = iter(self.retry_waits_s), _size(part)
        while True:
            try:
                return (yield from self._attempt(client, url, file, part))
            except (httpx.RequestError, _BrokenOff) as error:
                if _size(part) > furthest:
                    waits, furthest = iter(self.retry_waits_s), _size(part)
                wait_s = next(waits, None)
                if wait_s is None:
                    raise ModelMissing(
                        f"fetching {file.name} broke off: {str(error) or type(error).__name__}",
                        "the same command goes on from where it stopped",
                    ) from error
                time.sleep(max(wait_s, min(getattr(error, "wait_s", 0.0), _LONGEST_WAIT_S)))

    def _attempt(
        self, client: httpx.Client, url: str, file: SourceFile, part: Path
    ) -> Generator[PullEvent, None, Stated | None]:
        have, headers = _size(part), {}
        if have:
            headers = {"Range": f"bytes={have}-", "If-Range": str(read_json(_resume_note(part)).get("validator", ""))}
            if not headers["If-Range"]:
                have, headers = 0, {}
        with client.stream("GET", url, headers=headers) as response:
            if response.status_code == 404 and file.optional:
                return None
            if response.status_code == 416:
                part.unlink()
            _require_success(response, url)
            resumed = response.status_code == 206
            stated = _stated(response)
            done = have if resumed else 0
            require_space(part.parent, stated.size_bytes - done)
            validator = response.headers.get("etag", "")
            write_json(_resume_note(part), {"validator": "" if validator.startswith("W/") else validator})
            with part.open("ab" if resumed else "wb") as out:
                for block in response.iter_bytes(_BLOCK_BYTES):
                    out.write(block)
                    done += len(block)
                    yield Downloading(file.name, done, stated.size_bytes or file.size_bytes)
                sync_file(out)
        if stated.size_bytes and done != stated.size_bytes:
            raise _BrokenOff(f"{done} of {stated.size_bytes} bytes came")
        return stated


def _require_success(response: httpx.Response, url: str) -> None:
    status = response.status_code
    if status in (200, 206):
        return
    if status == 416 or status == 429 or status >= 500:
        raise _BrokenOff(f"the hub answers {status}", _seconds(response.headers.get("retry-after", "")))
    if status in (401, 403):
        raise ModelMissing(f"the hub refuses {url} ({status})", "export HF_TOKEN=... with a token that may read it")
    raise ModelMissing(f"the hub answers {status} for {url}", "termrag models list")


def _stated(response: httpx.Response) -> Stated:
    """Gather what the hub said on the way: the hub itself states hash and commit, the storage behind it the size."""
    hops = [*response.history, response]
    linked = [hop.headers["x-linked-etag"] for hop in hops if "x-linked-etag" in hop.headers]
    etag = linked[0] if linked else hops[0].headers.get("etag", "")
    commit = next((hop.headers["x-repo-commit"] for hop in hops if "x-repo-commit" in hop.headers), "")
    _, _, total = response.headers.get("content-range", "").partition("/")
    size = total if response.status_code == 206 else response.headers.get("content-length", "")
    return Stated(int(size) if size.isdigit() else 0, etag.removeprefix("W/").strip('"'), commit)


def _resume_note(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _git_blob_sha1(file: Path) -> str:
    digest = hashlib.sha1(b"blob %d\0" % file.stat().st_size, usedforsecurity=False)
    with file.open("rb") as stream:
        while block := stream.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _bytes_in(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir() if file.is_file())


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def _seconds(text: str) -> float:
    return float(text) if text.isdigit() else 0.0
