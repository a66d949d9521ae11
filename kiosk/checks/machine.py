"""Checks of the machine: whether a key could leave memory by a core dump, a debugger, swap or reuse, and who types.

The programs protect themselves (``kiosk/process/hardening.py``). These settings are a second line of defence, so a
wrong one is a warning.
"""

from __future__ import annotations

import resource
from collections.abc import Sequence
from pathlib import Path

from kiosk.checks.result import Check, Finding, NotChecked, failed, passed, together, warning
from kiosk.checks.side import Side
from kiosk.config.broker import BrokerConfig
from kiosk.config.kiosk import KioskConfig

_SYSCTL = "/etc/sysctl.d/80-recovery-kiosk.conf"
_AGAIN = f"set it in {_SYSCTL} (deploy/sysctl.conf) and run sysctl --system"
# Programs that discard the dump that the kernel pipes to them.
_DISCARDS = ("|/bin/false", "|/usr/bin/false", "|/bin/true", "|/usr/bin/true")
_Any = Side[KioskConfig] | Side[BrokerConfig]


def core_dumps(side: _Any) -> Finding:
    """Check the limit, the pattern, and dumps of programs that changed their user."""
    findings: list[Finding] = []
    if resource.getrlimit(resource.RLIMIT_CORE)[0] != 0:
        findings.append(warning("core dumps are not limited to 0", "set LimitCORE=0 in the unit (deploy/)"))
    pattern = _read(side.root, "proc/sys/kernel/core_pattern")
    if pattern and not pattern.startswith(_DISCARDS):
        what = f"core dumps go to “{pattern}”"
        findings.append(warning(what, f"kernel.core_pattern = |/bin/false; {_AGAIN}"))
    dumpable = _read(side.root, "proc/sys/fs/suid_dumpable")
    if dumpable != "0":
        say = failed if dumpable == "1" else warning
        findings.append(say(f"fs.suid_dumpable is {dumpable}", f"fs.suid_dumpable = 0; {_AGAIN}"))
    return together(findings, "no core dump is written anywhere")


def tracing(side: _Any) -> Finding:
    """Check whether a process may look into another one of the same user."""
    try:
        scope = _read(side.root, "proc/sys/kernel/yama/ptrace_scope")
    except NotChecked:
        return warning(
            "this kernel does not restrict tracing (no Yama)", "use a kernel with Yama, such as Debian's own"
        )
    if scope in {"2", "3"}:
        return passed(f"only administrators may trace (ptrace_scope {scope})")
    return warning(f"kernel.yama.ptrace_scope is {scope}", f"kernel.yama.ptrace_scope = 2; {_AGAIN}")


def typing(side: _Any) -> Finding:
    """Check whether a process may type into the terminal that it runs on."""
    try:
        allowed = _read(side.root, "proc/sys/dev/tty/legacy_tiocsti")
    except NotChecked:
        return warning(
            "this kernel lets every process type into its terminal (no dev.tty.legacy_tiocsti)",
            "use Linux 6.2 or newer",
        )
    if allowed == "0":
        return passed("no process can type into its terminal")
    return warning(f"dev.tty.legacy_tiocsti is {allowed}", f"dev.tty.legacy_tiocsti = 0; {_AGAIN}")


def swap(side: _Any) -> Finding:
    """Check whether memory is written to a disk."""
    places = [line.split()[0] for line in _read(side.root, "proc/swaps").splitlines()[1:] if line.split()]
    on_disk = [place for place in places if "/zram" not in place]
    if on_disk:
        return warning(
            f"memory is swapped to {', '.join(on_disk)}", "swapoff --all, and remove its line from /etc/fstab"
        )
    return passed("swap stays in memory (zram)" if places else "there is no swap")


def freed_memory(side: _Any) -> Finding:
    """Check whether the kernel clears freed memory."""
    words = [word for word in _read(side.root, "proc/cmdline").split() if word.startswith("init_on_free=")]
    if words:
        on = words[-1] == "init_on_free=1"
    else:
        release = _read(side.root, "proc/sys/kernel/osrelease")
        try:
            on = "CONFIG_INIT_ON_FREE_DEFAULT_ON=y" in _read(side.root, f"boot/config-{release}").splitlines()
        except NotChecked:
            on = False
    if on:
        return passed("the kernel clears freed memory")
    return warning(
        "the kernel does not clear freed memory",
        "put init_on_free=1 into GRUB_CMDLINE_LINUX in /etc/default/grub, run update-grub, restart",
    )


CHECKS: Sequence[Check[_Any]] = (
    Check("core-dumps", "the kernel's settings", core_dumps),
    Check("tracing", "the kernel's settings", tracing),
    Check("typing", "the kernel's settings", typing),
    Check("swap", "the kernel's settings", swap),
    Check("freed-memory", "the kernel's settings", freed_memory),
)


def _read(root: Path, name: str) -> str:
    try:
        return (root / name).read_text(encoding="utf-8", errors="replace").strip()
    except OSError as error:
        raise NotChecked(f"/{name}: {error.strerror}", "run the check on the machine itself, under Linux") from None
