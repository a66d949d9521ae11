"""``sandbox.toml``: every setting has a default, so an empty or missing file is a complete sandbox."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from kiosk.config.broker import AuthenticationContext, Rules
from kiosk.config.kiosk import VisitSettings
from kiosk.config.loading import load
from kiosk.config.types import Seconds, Section, Text
from kiosk.models import SignInMethod
from kiosk.sandbox.faults import Fault
from kiosk.sandbox.tenant.directory import Guid, OptionalClaim

_LOOPBACK = r"^(127\.0\.0\.1|::1|localhost)$"


class ListenSettings(Section, frozen=True, kw_only=True):
    """Address of the sandbox: loopback only, because it gives tokens to anybody who asks. Port 0 is any free one."""

    host: Annotated[str, Meta(pattern=_LOOPBACK)] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65_535)] = 0


class TenantSettings(Section, frozen=True, kw_only=True):
    """The organisation: its files, and how many ``devices`` it has at least; missing ones are generated.

    ``permissions`` are what the broker may do at Graph, if not what ``tenant.toml`` says.
    """

    id: Guid | None = None
    people_file: Path | None = None
    devices_file: Path | None = None
    devices: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    seed: int = 1
    permissions: tuple[str, ...] | None = None


class SignInSettings(Section, frozen=True, kw_only=True):
    """How people sign in, and how the tenant answers the sign-in page.

    The page gets ``port``; 0 is any free one. ``context`` is the authentication context that broker and page ask for,
    ``contexts`` those that a sign-in then satisfies, by default the one asked for. ``optional_claims`` are those of the
    page's registration.
    """

    method: SignInMethod = SignInMethod.WEB
    port: Annotated[int, Meta(ge=0, le=65_535)] = 0
    context: AuthenticationContext | None = None
    contexts: tuple[AuthenticationContext, ...] | None = None
    optional_claims: tuple[OptionalClaim, ...] = ("auth_time", "acrs")


class DeviceCodeSettings(Section, frozen=True, kw_only=True):
    """How long a code is valid, and how often a client may poll."""

    expires_seconds: Seconds = 900
    interval_seconds: Annotated[int, Meta(ge=0, le=60)] = 5


class GraphServiceSettings(Section, frozen=True, kw_only=True):
    """The most devices on a page, and how long a key rotation takes."""

    page_size: Annotated[int, Meta(ge=1, le=1000)] = 1000
    rotation_pending_seconds: Annotated[int, Meta(ge=0, le=86_400)] = 3
    rotation_active_seconds: Annotated[int, Meta(ge=0, le=86_400)] = 3


class SandboxConfig(Section, frozen=True, kw_only=True):
    """``sandbox.toml``.

    ``directory`` is where the files for kiosk and broker are written: by default a temporary folder that is removed at
    the end. ``remove_files`` removes the files from a given folder as well. ``approve`` is the person as whom every
    sign-in is approved automatically. ``visit`` and ``rules`` are copied into the written files.
    """

    directory: Text | None = None
    remove_files: bool = False
    approve: Text | None = None
    listen: ListenSettings = ListenSettings()
    tenant: TenantSettings = TenantSettings()
    sign_in: SignInSettings = SignInSettings()
    device_code: DeviceCodeSettings = DeviceCodeSettings()
    graph: GraphServiceSettings = GraphServiceSettings()
    visit: VisitSettings = VisitSettings()
    rules: Rules = Rules()
    fault: tuple[Fault, ...] = ()


def configure(
    path: Path | None = None,
    *,
    directory: Path | None = None,
    port: int | None = None,
    devices: int | None = None,
    approve: str | None = None,
) -> SandboxConfig:
    """Return the settings of the file, or the defaults, overridden by the command line. Raises ConfigError."""
    config = SandboxConfig() if path is None else load(path, SandboxConfig)
    listen, tenant = config.listen, config.tenant
    return msgspec.structs.replace(
        config,
        directory=config.directory if directory is None else str(directory),
        approve=config.approve if approve is None else approve,
        listen=listen if port is None else msgspec.structs.replace(listen, port=port),
        tenant=tenant if devices is None else msgspec.structs.replace(tenant, devices=devices),
    )
