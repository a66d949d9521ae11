"""The broker's log: events, and what its parts have to say."""

from __future__ import annotations

import logging

from kiosk.process.events import LEVELS, bind, event, refusal, to_stream

__all__ = ["LEVELS", "LOG", "bind", "event", "refusal", "to_stream"]

LOG = logging.getLogger("kiosk.broker")
