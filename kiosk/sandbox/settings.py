"""``sandbox.toml``: every value has a default, so that an empty file, or none, is a complete sandbox."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from kiosk.config.broker import Rules
from kiosk.config.kiosk import VisitSettings
from kiosk.config.loading import load
from kiosk.config.types import Seconds, Section, Text
from kiosk.sandbox.faults import Fault
from kiosk.sandbox.tenant.directory import Guid

_LOOPBACK = r"^(127\.0\.0\.1|::1|localhost)$"


class ListenSettings(Section, frozen=True, kw_only=True):
    """Only loopback: the sandbox gives tokens to whoever asks. Port 0 takes a free one."""

    host: Annotated[str, Meta(pattern=_LOOPBACK)] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65_535)] = 0


class TenantSettings(Section, frozen=True, kw_only=True):
    """Who and what is there: other files than ours, and ``devices`` as the number that is reached by generating more.

    ``permissions`` are the broker's at Graph, where they shall differ from those in ``tenant.toml``.
    """

    id: Guid | None = None
    people_file: Path | None = None
    devices_file: Path | None = None
    devices: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    seed: int = 1
    permissions: tuple[str, ...] | None = None


class DeviceCodeSettings(Section, frozen=True, kw_only=True):
    """How long a code is good for, and how often one may ask what has become of it."""

    expires_seconds: Seconds = 900
    interval_seconds: Annotated[int, Meta(ge=0, le=60)] = 5


class GraphServiceSettings(Section, frozen=True, kw_only=True):
    """How many devices a page holds at most, and how long a key rotation takes."""

    page_size: Annotated[int, Meta(ge=1, le=1000)] = 1000
    rotation_pending_seconds: Annotated[int, Meta(ge=0, le=86_400)] = 3
    rotation_active_seconds: Annotated[int, Meta(ge=0, le=86_400)] = 3


class SandboxConfig(Section, frozen=True, kw_only=True):
    """``sandbox.toml``.

    ``directory`` is where the files for kiosk and broker are written; without it, a temporary one, removed at the
    end. ``remove_files`` removes them from a given one, too. ``approve`` is the person as whom every code approves
    itself. ``visit`` and ``rules`` are passed on into those files.
    """

    directory: Text | None = None
    remove_files: bool = False
    approve: Text | None = None
    listen: ListenSettings = ListenSettings()
    tenant: TenantSettings = TenantSettings()
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
    """The settings of a file, or the defaults, with what the command line says instead. Raises ConfigError."""
    config = SandboxConfig() if path is None else load(path, SandboxConfig)
    listen, tenant = config.listen, config.tenant
    return msgspec.structs.replace(
        config,
        directory=config.directory if directory is None else str(directory),
        approve=config.approve if approve is None else approve,
        listen=listen if port is None else msgspec.structs.replace(listen, port=port),
        tenant=tenant if devices is None else msgspec.structs.replace(tenant, devices=devices),
    )
