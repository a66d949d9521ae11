"""The files that the sandbox writes: certificates, and ready configurations for kiosk and broker."""

from __future__ import annotations

import json
import os
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path

import msgspec

from kiosk.config.types import Section
from kiosk.errors import ConfigError
from kiosk.net.serving import Tls
from kiosk.sandbox.certificates import Certificates
from kiosk.sandbox.settings import SandboxConfig
from kiosk.sandbox.tenant.directory import Tenant

_PRIVATE = 0o700
_SECRET_FILE = 0o600


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
    certificates: Certificates,
    admin_token: str,
) -> Tls:
    """Write all files. Returns the paths that the server itself needs."""
    server = certificates.server
    files.write("ca.pem", certificates.authority.cert_pem.bytes())
    certificate = files.write("server.pem", server.cert_chain_pems[0].bytes())
    tls = Tls(certificate, files.write("server-key.pem", server.private_key_pem.bytes()))
    files.write("broker.pem", certificates.broker.private_key_and_cert_chain_pem.bytes())
    files.write("admin-token", admin_token.encode())
    socket = f"unix:{files.directory}/broker.sock"
    authority_url = f"{base}/{tenant.id}"
    kiosk: dict[str, dict[str, object]] = {
        "organisation": {
            "name": tenant.name,
            "helpdesk": f"The helpdesk: telephone 555 0100, helpdesk@{tenant.domain}, or room 1.07",
        },
        "sign_in": {"method": "device_code"},
        "device_code": {
            "authority": authority_url,
            "client_id": tenant.kiosk_client.client_id,
            "scope": f"{tenant.kiosk_api.uri}/{tenant.kiosk_api.scopes[0]}",
            "ca_bundle": "ca.pem",
        },
        "broker": {"url": socket},
        "visit": _plain(config.visit),
    }
    files.write("kiosk.toml", _toml("The kiosk of the sandbox.", kiosk))
    broker_tables: dict[str, dict[str, object]] = {
        "listen": {"url": socket},
        "sign_in": {"method": "device_code"},
        "tokens": {
            "authority": authority_url,
            "tenant": tenant.id,
            "audience": tenant.kiosk_api.client_id,
            "client": tenant.kiosk_client.client_id,
            "scope": tenant.kiosk_api.scopes[0],
            "ca_bundle": "ca.pem",
        },
        "graph": {
            "url": f"{base}/beta",
            "authority": authority_url,
            "client_id": tenant.broker.client_id,
            "certificate": "broker.pem",
            "ca_bundle": "ca.pem",
        },
        "rules": _plain(config.rules),
        "record": {"database": f"sqlite:///{files.directory}/record.db"},
    }
    files.write("broker.toml", _toml("The broker of the sandbox.", broker_tables))
    return tls


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
