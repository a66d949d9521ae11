"""``kiosk.toml``: every table and key of the kiosk's configuration."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from kiosk.config.types import (
    NOT_EMPTY,
    Colour,
    HttpsUrl,
    Language,
    RevealSeconds,
    Seconds,
    Section,
    ServiceUrl,
    Text,
)
from kiosk.errors import ConfigError
from kiosk.i18n import LANGUAGES, SOURCE
from kiosk.models import SignInMethod

After = Literal["restart", "exit"]
UI = Literal["full", "linear"]
Place = Annotated[str, Meta(max_length=80, description="up to 80 characters of text")]
Notice = Annotated[str, Meta(pattern=NOT_EMPTY, max_length=300, description="1 to 300 characters of text")]
ThemeName = Literal["auto", "dark", "light", "contrast", "ansi"]
CharsetName = Literal["auto", "blocks", "console", "lines", "ascii"]


class Organisation(Section, frozen=True, kw_only=True):
    """Who runs the kiosk. ``notice`` appears on the first screen."""

    name: Text
    helpdesk: Text
    portal: HttpsUrl = "https://portal.manage.microsoft.com"
    notice: Notice | None = None


class SignInSettings(Section, frozen=True, kw_only=True):
    """How people sign in. ``place`` tells people on their phones where the kiosk is."""

    method: SignInMethod = SignInMethod.WEB
    place: Place = ""


class DeviceCodeSettings(Section, frozen=True, kw_only=True):
    """The sign-in service, for device codes.

    ``total_seconds`` limits one request, ``connect_seconds`` the connection for it.
    """

    authority: HttpsUrl
    client_id: Text
    scope: Text
    ca_bundle: Path | None = None
    connect_seconds: Seconds = 5
    total_seconds: Seconds = 20


class BrokerAddress(Section, frozen=True, kw_only=True):
    """Where the broker is. ``total_seconds`` limits one request; the broker's own limit must be shorter.

    ``certificate`` and ``key`` (PEM) are the kiosk's own, from ``kiosk enroll``.
    """

    url: ServiceUrl = "unix:/run/kiosk-broker/broker.sock"
    ca_bundle: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    connect_seconds: Seconds = 5
    total_seconds: Seconds = 60


class VisitSettings(Section, frozen=True, kw_only=True):
    """The limits of a visit, and how it is shown.

    A key stays on the screen for ``reveal_seconds``, on request up to ``longest_reveal_seconds``. ``after`` is what
    follows a visit: the next one, or the end of the program (for SSH). ``ui`` is the usual UI: full screen, or plain
    lines for screen readers and braille.
    """

    reveal_seconds: RevealSeconds = 300
    longest_reveal_seconds: RevealSeconds = 900
    idle_seconds: Seconds = 90
    visit_seconds: Seconds = 900
    after: After = "restart"
    ui: UI = "full"


class Look(Section, frozen=True, kw_only=True):
    """Colours, charset and languages. ``languages`` can be chosen on the first screen, which begins in ``language``."""

    theme: ThemeName = "auto"
    type: CharsetName = "auto"
    accent: Colour | None = None
    language: Language = SOURCE
    languages: tuple[Language, ...] = tuple(LANGUAGES)


class Policy(StrEnum):
    """What happens to a reveal when a program may be recording the screen."""

    ALLOW = "allow"
    WARN = "warn"
    MASK = "mask"
    REFUSE = "refuse"


class RecorderPolicies(Section, frozen=True, kw_only=True):
    """A policy for each kind of program around the kiosk; ``other_tty`` is an SSH session behind a further pty."""

    script: Policy = Policy.REFUSE
    asciinema: Policy = Policy.REFUSE
    tlog: Policy = Policy.REFUSE
    debugger: Policy = Policy.REFUSE
    sudo: Policy = Policy.WARN
    other_tty: Policy = Policy.WARN
    tmux: Policy = Policy.WARN
    screen: Policy = Policy.WARN


class KioskConfig(Section, frozen=True, kw_only=True):
    """``kiosk.toml``."""

    organisation: Organisation
    sign_in: SignInSettings = SignInSettings()
    device_code: DeviceCodeSettings | None = None
    broker: BrokerAddress = BrokerAddress()
    visit: VisitSettings = VisitSettings()
    look: Look = Look()
    recorders: RecorderPolicies = RecorderPolicies()

    @property
    def device_code_settings(self) -> DeviceCodeSettings:
        """The table ``[device_code]``. Raises ConfigError if it is missing."""
        if self.device_code is None:
            raise ConfigError("kiosk.toml", 'missing; `[sign_in] method = "device_code"` needs it', key="device_code")
        return self.device_code
