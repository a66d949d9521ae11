"""Checks how many places sshd gives to connections that have not signed in: who takes all of them keeps people out."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from kiosk.checks.result import Finding, NotChecked, passed, together, warning
from kiosk.checks.side import Side
from kiosk.config.kiosk import KioskConfig

# An sshd of the kiosk's own, or the machine's, which both read (deploy/ssh).
_OWN = "etc/recovery-kiosk/sshd_config"
_SHARED = "etc/ssh/sshd_config.d/50-recovery-kiosk.conf"
_MACHINE = "etc/ssh/sshd_config"
_FOLDERS = "/usr/sbin:/usr/local/sbin:/sbin"
_SECONDS = 5
_LONGEST_GRACE = 30
_NO_LIMIT = {"none", "0"}


def sign_ins(side: Side[KioskConfig]) -> Finding:
    """Check how long a connection may wait for its sign-in, and how many of one address may wait."""
    file = _configuration(side.root)
    if file is None:
        return passed("no kiosk over SSH on this machine")
    settings = _effective(file)
    findings: list[Finding] = []
    grace = settings.get("logingracetime", "")
    if not grace.isdigit() or not 0 < int(grace) <= _LONGEST_GRACE:
        what = f"connections that do not sign in are kept for {grace} s" if grace != "0" else "LoginGraceTime is off"
        findings.append(warning(what, f"LoginGraceTime 10 in {file}"))
    begins = settings.get("maxstartups", "").partition(":")[0]
    each = settings.get("persourcemaxstartups", "none")
    if each in _NO_LIMIT or (each.isdigit() and begins.isdigit() and int(each) >= int(begins)):
        what = f"one address can take all {begins} places of connections that have not signed in"
        findings.append(warning(what, f"PerSourceMaxStartups 8 in {file}, and MaxStartups above it"))
    return together(findings, f"{each} connections of one address may wait for a sign-in, {grace} s each")


def _configuration(root: Path) -> Path | None:
    """Return the configuration of the sshd that leads to the kiosk; None without one."""
    if (root / _OWN).is_file():
        return root / _OWN
    try:
        shared = (root / _SHARED).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The other file of this name only keeps the kiosk's user away.
    return root / _MACHINE if "ForceCommand" in shared else None


def _effective(file: Path) -> dict[str, str]:
    """Return the settings as sshd itself understands them, by their names in lower case. Raises NotChecked."""
    program = shutil.which("sshd", path=_FOLDERS)
    if program is None:
        raise NotChecked("there is no sshd", "install openssh-server")
    try:
        ran = subprocess.run(  # noqa: S603 - a fixed program and a path of ours
            [program, "-T", "-f", str(file)],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotChecked(f"sshd -T: {type(error).__name__}", "run sshd -T by hand") from None
    if ran.returncode != 0:
        why = ran.stderr.strip().partition("\n")[0]
        raise NotChecked(f"sshd -T: {why}", "run the check as root, and fix what sshd reports about its configuration")
    found = (line.partition(" ") for line in ran.stdout.splitlines())
    return {name: value.strip() for name, _, value in found}
