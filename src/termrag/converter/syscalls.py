"""A filter in the Linux kernel against calls that no parser needs: sockets, programs, signals, removing files.

It holds where namespaces are not allowed, such as in most containers, and against native code too. Source: the
kernel's Documentation/userspace-api/seccomp_filter.rst; call numbers from its unistd tables.
"""

from __future__ import annotations

import ctypes
import platform
import struct

_PR_SET_SECCOMP = 22
_PR_SET_NO_NEW_PRIVS = 38
_MODE_FILTER = 2
_ALLOW = 0x7FFF0000
_REFUSE = 0x00050001  # the call returns EPERM
_LOAD, _IF_EQUAL, _IF_AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_NUMBER_AT, _MACHINE_AT = 0, 4  # offsets in struct seccomp_data
_X32_CALLS = 0x40000000  # x86-64 has a second set of numbers from here on

# socket connect execve execveat io_uring_setup ptrace process_vm_writev kill unlink(at) rename(at, at2) rmdir truncate
_CALLS = {
    "x86_64": (0xC000003E, (41, 42, 59, 322, 425, 101, 311, 62, 87, 263, 82, 264, 316, 84, 76)),
    "aarch64": (0xC00000B7, (198, 203, 221, 281, 425, 117, 271, 129, 35, 38, 276, 45)),
}


def refuse_calls(libc: ctypes.CDLL) -> bool:
    """Refuse them for good in this process and its children; False where the machine or its kernel is another."""
    machine, numbers = _CALLS.get(platform.machine(), (0, ()))
    if not machine:
        return False
    program = _program(machine, numbers)
    lines = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("@HP", len(program) // 8, ctypes.addressof(lines))
    libc.prctl(_PR_SET_NO_NEW_PRIVS, *map(ctypes.c_ulong, (1, 0, 0, 0)))
    return bool(libc.prctl(_PR_SET_SECCOMP, ctypes.c_ulong(_MODE_FILTER), ctypes.create_string_buffer(header)) == 0)


def _program(machine: int, numbers: tuple[int, ...]) -> bytes:
    """Lines of (code, steps if true, steps if false, value), the last one refuses."""
    checks = [(_IF_EQUAL, number) for number in numbers] + [(_IF_AT_LEAST, _X32_CALLS)]
    lines = [(_LOAD, 0, 0, _MACHINE_AT), (_IF_EQUAL, 0, len(checks) + 2, machine), (_LOAD, 0, 0, _NUMBER_AT)]
    lines += [(code, len(checks) - place, 0, value) for place, (code, value) in enumerate(checks)]
    lines += [(_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _REFUSE)]
    return b"".join(struct.pack("<HBBI", *line) for line in lines)
