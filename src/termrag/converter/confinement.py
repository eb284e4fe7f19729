"""Takes from the current process what a parser does not need: network, memory, files, other programs.

Kernel limits come first; an audit hook, which cannot be removed again, refuses what the kernel could not be asked to.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import struct
import sys
from typing import Any

from termrag.converter.syscalls import refuse_calls

_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
_PR_SET_PDEATHSIG = 1
_RUSAGE_INFO_V0 = 0
_OPEN_FILES = 64

_FORBIDDEN = (
    "socket.",
    "subprocess.",
    "shutil.",
    "urllib.",
    "os.exec",
    "os.fork",
    "os.kill",
    "os.link",
    "os.mkdir",
    "os.posix_spawn",
    "os.remove",
    "os.rename",
    "os.rmdir",
    "os.spawn",
    "os.symlink",
    "os.system",
    "os.truncate",
)
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def confine(*, memory_bytes: int, cpu_s: int) -> None:
    """Confine this process for good: own session, dies with its parent, no network, no writing, no children.

    Memory is bounded by the kernel on Linux alone; elsewhere the zygote watches `resident_bytes`. Dying with the
    parent is Linux's too; elsewhere an orphan ends at its processor limit or when it writes its answer.
    """
    os.setsid()
    libc = ctypes.CDLL(None, use_errno=True)
    _leave_network(libc)
    if sys.platform == "linux":
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_OPEN_FILES, _OPEN_FILES))
    if sys.platform == "linux":
        refuse_calls(libc)
    sys.addaudithook(_refuse)


def resident_bytes(pid: int) -> int:
    """Memory that a process holds now; 0 when it cannot be told."""
    try:
        if sys.platform == "darwin":
            usage = ctypes.create_string_buffer(512)
            if ctypes.CDLL(None).proc_pid_rusage(pid, _RUSAGE_INFO_V0, usage) != 0:
                return 0
            return int(struct.unpack_from("=16s8Q", usage)[7])  # ri_resident_size of struct rusage_info_v0
        with open(f"/proc/{pid}/statm", encoding="ascii") as statm:  # noqa: PTH123 - read once per tick, kept bare
            return int(statm.read().split()[1]) * resource.getpagesize()
    except (OSError, ValueError, IndexError, AttributeError):
        return 0


def _leave_network(libc: ctypes.CDLL) -> None:
    """An empty network namespace on Linux, the no-network profile on macOS, where the system allows."""
    if sys.platform == "linux":
        # Root may not be allowed a user namespace and does not need one, anyone else needs it.
        if libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) != 0:
            libc.unshare(_CLONE_NEWNET)
    elif sys.platform == "darwin":
        enter = getattr(libc, "sandbox_init", None)
        if enter:
            enter(b"no-network", ctypes.c_uint64(1), ctypes.byref(ctypes.c_char_p()))


def _refuse(event: str, details: tuple[Any, ...]) -> None:
    if event.startswith(_FORBIDDEN):
        raise PermissionError(f"a parser may not use {event}")
    if event == "open" and isinstance(details[2], int) and details[2] & _WRITING:
        raise PermissionError("a parser may not write files")
