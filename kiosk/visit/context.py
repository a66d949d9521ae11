"""What a visit is started with. Both UIs are built from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from kiosk.clock import Clock
from kiosk.config.kiosk import KioskConfig
from kiosk.look.drawable import Drawable
from kiosk.terminal.first_frame import FirstFrame
from kiosk.terminal.recorders import Recorders
from kiosk.visit.code_pause import CodePause
from kiosk.visit.demo_phone import DemoPhone
from kiosk.visit.open_reveals import OpenReveals


@dataclass(frozen=True, kw_only=True)
class VisitStart:
    """What the supervisor tells a visit, and the memory and the pipe that it shares with it."""

    # Names this visit in the log.
    reference: str = ""
    # The reference of the visit before this one, if that one failed.
    failed: str = ""
    # Whether the visit before this one ended without a network.
    disturbed: bool = False
    # Whether this visit is shown as plain lines.
    linear: bool = False
    # What was typed before the visit, on the full screen.
    typed: bytes = b""
    open_reveals: OpenReveals | None = None
    first_frame: FirstFrame | None = None
    code_pause: CodePause | None = None


@dataclass(frozen=True, kw_only=True)
class VisitContext:
    """Everything that one visit is started with."""

    config: KioskConfig
    clock: Clock
    # Names this terminal in the broker's record.
    terminal: str = ""
    drawable: Drawable = field(default_factory=Drawable)
    find_recorders: Callable[[], Recorders] = Recorders
    # Only in the demo.
    phone: DemoPhone | None = None
    # Shown on every screen; only in the demo.
    note: str = ""
    start: VisitStart = VisitStart()
