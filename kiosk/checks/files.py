"""Checks of who can read and change files that matter."""

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
    """Check that only its owner, and at most its group, can open a file."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        return failed(f"{what} {path}: {error.strerror}", f"check that {path} exists and that its folder can be opened")
    if mode & _FORBIDDEN_TO_OTHERS:
        return failed(f"{what} {path} is open to everybody (mode {stat.S_IMODE(mode):04o})", f"chmod o-rwx {path}")
    if mode & stat.S_IWGRP:
        return failed(f"{what} {path} can be written by its group (mode {stat.S_IMODE(mode):04o})", f"chmod g-w {path}")
    if (folder := replaceable(path)) is not None:
        return folder
    return passed(f"{what} {path}")


def unchangeable(path: Path, what: str) -> Finding:
    """Check that only administrators can change a file: neither others nor the kiosk's user."""
    try:
        found = path.stat()
    except OSError as error:
        return failed(f"{what} {path}: {error.strerror}", f"check that {path} exists and that its folder can be opened")
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
            f"{what} {path} can be changed by the user who runs this check",
            f"if that is the kiosk's user: chown root: {path} && chmod go-w {path}",
        )
    return passed(f"{what} {path}")


def unchangeable_by_others(path: Path, what: str) -> Finding:
    """Check that not everybody can change a file."""
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & stat.S_IWOTH:
        return failed(f"{what} {path} can be changed by everybody (mode {mode:04o})", f"chmod o-w {path}")
    return replaceable(path) or passed(f"{what} {path}")


def replaceable(path: Path) -> Finding | None:
    """Return a finding if everybody can replace this file in its folder."""
    folder = path.resolve().parent
    mode = folder.stat().st_mode
    if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        return failed(f"everybody can replace files in {folder} (mode {stat.S_IMODE(mode):04o})", f"chmod o-w {folder}")
    return None


def _kiosk_changes(found: os.stat_result) -> bool:
    # An owner can also change the mode.
    return user_name(found.st_uid) == KIOSK_USER or writes(found, KIOSK_USER)


def _replaceable_by_kiosk(path: Path) -> Finding | None:
    """Return a finding if the kiosk's user can replace this file, or a folder above it."""
    for folder in path.resolve().parents:
        found = folder.stat()
        if _kiosk_changes(found) and not found.st_mode & stat.S_ISVTX:
            return failed(
                f"the user {KIOSK_USER} can replace files in {folder}", f"chown root: {folder} && chmod go-w {folder}"
            )
    return None


def user_name(uid: int) -> str:
    """Return the name of a user, or the number if there is no name."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def owner(found: os.stat_result) -> str:
    """Return owner and group by name, or by number if there is no name."""
    try:
        group = grp.getgrgid(found.st_gid).gr_name
    except KeyError:
        group = str(found.st_gid)
    return f"{user_name(found.st_uid)}:{group}"


def writes(found: os.stat_result, name: str) -> bool:
    """Whether a user of that name exists and may write a file or folder."""
    try:
        user = pwd.getpwnam(name)
    except KeyError:
        return False
    if user.pw_uid == found.st_uid:
        return bool(found.st_mode & stat.S_IWUSR)
    in_group = found.st_gid in os.getgrouplist(name, user.pw_gid)
    return bool(found.st_mode & (stat.S_IWGRP if in_group else stat.S_IWOTH))
