"""Types of configuration values, shared by both configuration files."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from kiosk.config.messages import (
    HTTPS,
    LANGUAGE,
    LIMIT,
    NOT_EMPTY,
    SOCKET_OR_HTTPS,
)

Text = Annotated[str, Meta(pattern=NOT_EMPTY)]
HttpsUrl = Annotated[str, Meta(pattern=HTTPS)]
ServiceUrl = Annotated[str, Meta(pattern=SOCKET_OR_HTTPS)]
Limit = Annotated[str, Meta(pattern=LIMIT)]
Seconds = Annotated[int, Meta(ge=1, le=86_400)]
Language = Annotated[str, Meta(pattern=LANGUAGE)]
RevealSeconds = Annotated[int, Meta(ge=5, le=3_600)]


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every table in a configuration file."""
