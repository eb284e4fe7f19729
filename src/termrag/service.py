"""Watching and serving as services of the user's own session: systemd user units on Linux, launchd agents on macOS."""

from __future__ import annotations

import plistlib
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from termrag.errors import ServiceFailed

_WHAT = {
    "watch": "termrag keeps its library equal to the watched folders",
    "serve": "termrag gives other programs its API, and the command line warm models",
}
# Work that nobody waits for stands back.
_STANDS_BACK = """Nice=10
IOSchedulingClass=idle
"""


@dataclass(frozen=True, slots=True)
class Service:
    """How the service is described and controlled on this platform."""

    file: Path
    text: str
    start: tuple[tuple[str, ...], ...]
    stop: tuple[tuple[str, ...], ...]


def service(
    command: Sequence[str],
    home: Path,
    log_file: Path,
    collection: str = "",
    *,
    name: str = "watch",
    platform: str = sys.platform,
) -> Service:
    """The service `name`, watch or serve, that runs `command` for a user whose home folder is `home`: one for each
    collection. Raises ServiceFailed on a platform that has neither systemd nor launchd."""
    label = f"termrag-{name}-{collection}" if collection else f"termrag-{name}"
    if platform == "darwin":
        return _launchd(name, label, command, home, log_file)
    if platform.startswith("linux"):
        return _systemd(name, label, command, home)
    raise ServiceFailed(f"there is no service manager that termrag knows on {platform}", f"termrag {name}")


def install(wanted: Service) -> None:
    """Write the description and start the service, now and at every login. Raises ServiceFailed."""
    wanted.file.parent.mkdir(parents=True, exist_ok=True)
    wanted.file.write_text(wanted.text, encoding="utf-8")
    control(wanted.start)


def uninstall(wanted: Service) -> None:
    """Stop the service and remove its description; what is not there is no error."""
    if wanted.file.exists():
        control(wanted.stop)
        wanted.file.unlink()


def control(commands: Sequence[Sequence[str]]) -> None:
    """Run the service manager's commands in order. Raises ServiceFailed with what it said."""
    for command in commands:
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        except FileNotFoundError as error:
            raise ServiceFailed(f"{command[0]} is not on this machine", "termrag watch") from error
        if done.returncode:
            said = (done.stderr or done.stdout).strip().splitlines()
            raise ServiceFailed(f"{' '.join(command)}: {said[-1] if said else 'failed'}", "termrag watch")


def _systemd(name: str, label: str, command: Sequence[str], home: Path) -> Service:
    unit = f"{label}.service"
    text = f"""[Unit]
Description={_WHAT[name]}

[Service]
Type=exec
ExecStart={" ".join(map(_quoted, command))}
ExecReload=/bin/kill -HUP $MAINPID
Restart=on-failure
RestartSec=10
TimeoutStopSec=30
{_STANDS_BACK if name == "watch" else ""}UMask=0077

[Install]
WantedBy=default.target
"""
    control_ = ("systemctl", "--user")
    return Service(
        home / ".config" / "systemd" / "user" / unit,
        text,
        start=((*control_, "daemon-reload"), (*control_, "enable", "--now", unit)),
        stop=((*control_, "disable", "--now", unit),),
    )


def _quoted(word: str) -> str:
    """A word as systemd reads it: percent and dollar signs doubled, quoted where it has to be."""
    word = word.replace("\\", "\\\\").replace("%", "%%").replace("$", "$$")
    return '"' + word.replace('"', '\\"') + '"' if set(word) & set(" \t'\";") else word


def _launchd(name: str, label: str, command: Sequence[str], home: Path, log_file: Path) -> Service:
    label = f"org.{label}"
    file = home / "Library" / "LaunchAgents" / f"{label}.plist"
    description = {
        "Label": label,
        "ProgramArguments": list(command),
        "RunAtLoad": True,
        "KeepAlive": {"SuccessfulExit": False},
        "ProcessType": "Background" if name == "watch" else "Interactive",
        "ThrottleInterval": 10,
        "Umask": 0o077,
        "StandardErrorPath": str(log_file.with_name(f"{name}.err")),
    }
    return Service(
        file,
        plistlib.dumps(description).decode(),
        start=(("launchctl", "load", "-w", str(file)),),
        stop=(("launchctl", "unload", "-w", str(file)),),
    )
