"""Who can read and change files that matter."""

from __future__ import annotations

import grp
import os
import pwd
import stat
from pathlib import Path

from kiosk.checks.result import Finding, failed, passed, warning

KIOSK_USER = "kiosk"
_FORBIDDEN_TO_OTHERS = stat.S_IRWXO


def secret(path: Path, what: str) -> Finding:
    """A file that nobody but its owner, and at most its group, may open."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        return failed(f"{what} {path}: {error.strerror}", f"see that {path} is there and that its folder can be opened")
    if mode & _FORBIDDEN_TO_OTHERS:
        return failed(f"{what} {path} is open to everybody (mode {stat.S_IMODE(mode):04o})", f"chmod o-rwx {path}")
    if mode & stat.S_IWGRP:
        return failed(f"{what} {path} can be written by its group (mode {stat.S_IMODE(mode):04o})", f"chmod g-w {path}")
    if (folder := replaceable(path)) is not None:
        return folder
    return passed(f"{what} {path}")


def unchangeable(path: Path, what: str) -> Finding:
    """A file that only administrators may change: neither others, nor the kiosk's user, nor whoever runs this."""
    try:
        found = path.stat()
    except OSError as error:
        return failed(f"{what} {path}: {error.strerror}", f"see that {path} is there and that its folder can be opened")
    mode = stat.S_IMODE(found.st_mode)
    if mode & stat.S_IWOTH:
        return failed(f"{what} {path} can be changed by everybody (mode {mode:04o})", f"chmod go-w {path}")
    if _kiosk_changes(found):
        return failed(
            f"{what} {path} can be changed by the user {KIOSK_USER}", f"chown root: {path} && chmod go-w {path}"
        )
    if (folder := replaceable(path) or _replaceable_by_kiosk(path)) is not None:
        return folder
    if os.geteuid() != 0 and os.access(path, os.W_OK, effective_ids=True):
        return warning(
            f"{what} {path} can be changed by who runs this check",
            f"if that is the kiosk's user: chown root: {path} && chmod go-w {path}",
        )
    return passed(f"{what} {path}")


def unchangeable_by_others(path: Path, what: str) -> Finding:
    """A file that not everybody may change."""
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & stat.S_IWOTH:
        return failed(f"{what} {path} can be changed by everybody (mode {mode:04o})", f"chmod o-w {path}")
    return replaceable(path) or passed(f"{what} {path}")


def replaceable(path: Path) -> Finding | None:
    """A folder in which everybody can put something else in the place of a file."""
    folder = path.resolve().parent
    mode = folder.stat().st_mode
    if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        return failed(f"everybody can replace files in {folder} (mode {stat.S_IMODE(mode):04o})", f"chmod o-w {folder}")
    return None


def _kiosk_changes(found: os.stat_result) -> bool:
    # An owner can change the mode, too.
    return user_name(found.st_uid) == KIOSK_USER or writes(found, KIOSK_USER)


def _replaceable_by_kiosk(path: Path) -> Finding | None:
    """A folder, or one that it lies in, in which the kiosk's user can put something else in the place of a file."""
    for folder in path.resolve().parents:
        found = folder.stat()
        if _kiosk_changes(found) and not found.st_mode & stat.S_ISVTX:
            return failed(
                f"the user {KIOSK_USER} can replace files in {folder}", f"chown root: {folder} && chmod go-w {folder}"
            )
    return None


def user_name(uid: int) -> str:
    """The name of a user, or the number where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def owner(found: os.stat_result) -> str:
    """Owner and group by name, where they have one."""
    try:
        group = grp.getgrgid(found.st_gid).gr_name
    except KeyError:
        group = str(found.st_gid)
    return f"{user_name(found.st_uid)}:{group}"


def writes(found: os.stat_result, name: str) -> bool:
    """Whether the user of that name, where there is one, may write a file or folder."""
    try:
        user = pwd.getpwnam(name)
    except KeyError:
        return False
    if user.pw_uid == found.st_uid:
        return bool(found.st_mode & stat.S_IWUSR)
    in_group = found.st_gid in os.getgrouplist(name, user.pw_gid)
    return bool(found.st_mode & (stat.S_IWGRP if in_group else stat.S_IWOTH))
