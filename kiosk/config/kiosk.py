"""``kiosk.toml``: every table and key of the kiosk's configuration."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from kiosk.config.messages import (
    AFTER,
    COLOUR,
    NOT_EMPTY,
    THEME,
    TYPE,
    UI,
)
from kiosk.config.types import HttpsUrl, Language, RevealSeconds, Seconds, Section, ServiceUrl, Text
from kiosk.i18n import LANGUAGES, SOURCE


class Organisation(Section, frozen=True, kw_only=True):
    """``notice`` is the organisation's own words on the first screen."""

    name: Text
    helpdesk: Text
    portal: HttpsUrl = "https://portal.manage.microsoft.com"
    notice: Annotated[str, Meta(pattern=NOT_EMPTY, max_length=300)] | None = None


class SignInSettings(Section, frozen=True, kw_only=True):
    """Seconds bound one connection, and one whole question."""

    authority: HttpsUrl
    client_id: Text
    scope: Text
    ca_bundle: Path | None = None
    connect_seconds: Seconds = 5
    total_seconds: Seconds = 20


class BrokerAddress(Section, frozen=True, kw_only=True):
    """Seconds bound one connection, and one whole question; a release takes as long as the broker's limits allow."""

    url: ServiceUrl = "unix:/run/kiosk-broker/broker.sock"
    ca_bundle: Path | None = None
    connect_seconds: Seconds = 5
    total_seconds: Seconds = 60


class VisitSettings(Section, frozen=True, kw_only=True):
    """Seconds. A key stays on the screen for ``reveal_seconds``, on request up to ``longest_reveal_seconds``.

    ``after`` says what follows a visit: the next one, or the end of the program (for SSH). ``ui`` is how a visit is
    shown: on the full screen, or as plain lines for screen readers and braille.
    """

    reveal_seconds: RevealSeconds = 300
    longest_reveal_seconds: RevealSeconds = 900
    idle_seconds: Seconds = 90
    visit_seconds: Seconds = 900
    after: Annotated[str, Meta(pattern=AFTER)] = "restart"
    ui: Annotated[str, Meta(pattern=UI)] = "full"


class Look(Section, frozen=True, kw_only=True):
    """Colours, type and languages. ``languages`` are those to choose from, ``language`` is the one to begin with."""

    theme: Annotated[str, Meta(pattern=THEME)] = "auto"
    type: Annotated[str, Meta(pattern=TYPE)] = "auto"
    accent: Annotated[str, Meta(pattern=COLOUR)] | None = None
    language: Language = SOURCE
    languages: tuple[Language, ...] = tuple(LANGUAGES)


class Policy(StrEnum):
    """What a program that may record the screen means for a reveal."""

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
    sign_in: SignInSettings
    broker: BrokerAddress = BrokerAddress()
    visit: VisitSettings = VisitSettings()
    look: Look = Look()
    recorders: RecorderPolicies = RecorderPolicies()
