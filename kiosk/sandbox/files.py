"""The files that the sandbox writes: certificates, and ready configurations for kiosk and broker."""

from __future__ import annotations

import json
import os
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias
from urllib.parse import urlsplit

import msgspec
import trustme

from kiosk.config.types import Section
from kiosk.errors import ConfigError
from kiosk.models import SignInMethod
from kiosk.net.server_tls import Tls
from kiosk.sandbox.certificates import Certificates
from kiosk.sandbox.settings import SandboxConfig
from kiosk.sandbox.tenant.directory import Tenant

_PRIVATE = 0o700
_SECRET_FILE = 0o600
_CA = "ca.pem"
_BROKER = "broker.pem"
_SIGN_IN = "sign-in.pem"
_PAGE = "sign-in-server"
_BROKER_SOCKET = "broker.sock"
_PAGE_SOCKET = "page.sock"
_PLACE = "Desk 7, ground floor"

Tables: TypeAlias = dict[str, dict[str, object]]


class Files:
    """A folder that only its owner can open, and the files written into it."""

    def __init__(self, directory: Path) -> None:
        """Make the folder, or check that an existing one is closed to others. Raises ConfigError."""
        self.directory = directory.expanduser().resolve()
        self._written: list[Path] = []
        try:
            self._made = not self.directory.exists()
            if self._made:
                self.directory.mkdir(mode=_PRIVATE, parents=True)
            found = self.directory.stat()
        except OSError as error:
            raise ConfigError(self.directory, f"expected a folder for the sandbox: {error.strerror}") from None
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) & 0o077:
            raise ConfigError(self.directory, "expected a folder of your own that nobody else can open (mode 0700)")

    @classmethod
    def temporary(cls) -> Files:
        """Make a temporary folder. Raises ConfigError."""
        files = cls(Path(tempfile.mkdtemp(prefix="recovery-kiosk-sandbox-")))
        files._made = True
        return files

    def write(self, name: str, content: bytes) -> Path:
        """Write a file that only its owner can read. Returns its path. Raises ConfigError."""
        path = self.directory / name
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
            with os.fdopen(os.open(path, flags, _SECRET_FILE), "wb") as file:
                os.fchmod(file.fileno(), _SECRET_FILE)
                file.write(content)
        except OSError as error:
            raise ConfigError(path, f"expected to write here: {error.strerror}") from None
        self._written.append(path)
        return path

    def remove(self) -> None:
        """Remove the written files, and the folder if it was made here and is empty."""
        for path in self._written:
            path.unlink(missing_ok=True)
        self._written.clear()
        if self._made and not any(self.directory.iterdir()):
            self.directory.rmdir()


def write_all(
    files: Files,
    config: SandboxConfig,
    tenant: Tenant,
    base: str,
    page: str,
    certificates: Certificates,
    admin_token: str,
) -> Tls:
    """Write all files. Returns the paths that the server itself needs. ``page`` is the address of the sign-in page."""
    files.write(_CA, certificates.authority.cert_pem.bytes())
    tls = Tls(*_write_pair(files, "server", certificates.server))
    files.write(_BROKER, certificates.broker.private_key_and_cert_chain_pem.bytes())
    files.write("admin-token", admin_token.encode())
    authority = f"{base}/{tenant.id}"
    kiosk = _kiosk(files, config, tenant, authority)
    files.write("kiosk.toml", _toml("The kiosk of the sandbox.", kiosk))
    broker = _broker(files, config, tenant, base, page)
    files.write("broker.toml", _toml("The broker of the sandbox.", broker))
    if config.sign_in.method is SignInMethod.WEB:
        _write_pair(files, _PAGE, certificates.page)
        files.write(_SIGN_IN, certificates.sign_in.private_key_and_cert_chain_pem.bytes())
        tables = _sign_in_page(files, config, tenant, authority, page)
        files.write("sign-in.toml", _toml("The sign-in page of the sandbox.", tables))
    return tls


def _kiosk(files: Files, config: SandboxConfig, tenant: Tenant, authority: str) -> Tables:
    tables: Tables = {
        "organisation": _organisation(tenant),
        "sign_in": {"method": config.sign_in.method.value, "place": _PLACE},
        "broker": {"url": _socket(files, _BROKER_SOCKET)},
        "visit": _plain(config.visit),
    }
    if config.sign_in.method is SignInMethod.DEVICE_CODE:
        tables["device_code"] = {
            "authority": authority,
            "client_id": tenant.kiosk_client.client_id,
            "scope": _scope(tenant),
            "ca_bundle": _CA,
        }
    return tables


def _broker(files: Files, config: SandboxConfig, tenant: Tenant, base: str, page: str) -> Tables:
    sign_in: dict[str, object] = {"method": config.sign_in.method.value}
    client = tenant.kiosk_client
    if config.sign_in.method is SignInMethod.WEB:
        # Everything here runs as one user, who cannot tell kiosk and page apart, so the page has a socket of its own.
        sign_in |= {"page": page, "page_listen": _socket(files, _PAGE_SOCKET)} | _context(config)
        client = tenant.sign_in
    authority = f"{base}/{tenant.id}"
    return {
        "listen": {"url": _socket(files, _BROKER_SOCKET)},
        "sign_in": sign_in,
        "tokens": {
            "authority": authority,
            "tenant": tenant.id,
            "audience": tenant.kiosk_api.client_id,
            "client": client.client_id,
            "scope": tenant.kiosk_api.scopes[0],
            "ca_bundle": _CA,
        },
        "graph": {
            "url": f"{base}/beta",
            "authority": authority,
            "client_id": tenant.broker.client_id,
            "certificate": _BROKER,
            "ca_bundle": _CA,
        },
        "rules": _plain(config.rules),
        # One terminal plays everybody.
        "limits": {"sign_ins_per_hour": 10_000, "people_per_hour": 10_000},
        "record": {"database": f"sqlite:///{files.directory}/record.db"},
    }


def _sign_in_page(files: Files, config: SandboxConfig, tenant: Tenant, authority: str, page: str) -> Tables:
    return {
        "organisation": _organisation(tenant),
        "listen": {
            "address": page,
            "url": f"https://127.0.0.1:{urlsplit(page).port}",
            "certificate": f"{_PAGE}.pem",
            "key": f"{_PAGE}-key.pem",
        },
        "entra": {
            "authority": authority,
            "client_id": tenant.sign_in.client_id,
            "certificate": _SIGN_IN,
            "scope": _scope(tenant),
            "ca_bundle": _CA,
        }
        | _context(config),
        "broker": {"url": _socket(files, _PAGE_SOCKET)},
    }


def _organisation(tenant: Tenant) -> dict[str, object]:
    helpdesk = f"The helpdesk: telephone 555 0100, helpdesk@{tenant.domain}, or room 1.07"
    return {"name": tenant.name, "helpdesk": helpdesk}


def _scope(tenant: Tenant) -> str:
    return f"{tenant.kiosk_api.uri}/{tenant.kiosk_api.scopes[0]}"


def _context(config: SandboxConfig) -> dict[str, object]:
    return {"context": config.sign_in.context} if config.sign_in.context else {}


def _socket(files: Files, name: str) -> str:
    return f"unix:{files.directory}/{name}"


def _write_pair(files: Files, name: str, issued: trustme.LeafCert) -> tuple[Path, Path]:
    """Write certificate and key. Returns both paths."""
    certificate = files.write(f"{name}.pem", issued.cert_chain_pems[0].bytes())
    return certificate, files.write(f"{name}-key.pem", issued.private_key_pem.bytes())


def _plain(section: Section) -> dict[str, object]:
    values: dict[str, object] = msgspec.to_builtins(section, enc_hook=str)
    return {key: value for key, value in values.items() if value is not None}


def _toml(comment: str, tables: Mapping[str, Mapping[str, object]]) -> bytes:
    """Return the tables as TOML. JSON writes strings, numbers, booleans and lists the same way."""
    lines = [f"# {comment} Written again at every start; changes are lost."]
    for name, table in tables.items():
        lines += ["", f"[{name}]"]
        lines += [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in table.items()]
    return "\n".join([*lines, ""]).encode()
