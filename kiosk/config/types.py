"""Types of configuration values, shared by all configuration files.

The ``description`` of a type is what an error message says was expected.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from kiosk.i18n import LANGUAGES

NOT_EMPTY = r"\S"

Text = Annotated[str, Meta(pattern=NOT_EMPTY, description="some text")]
HttpsUrl = Annotated[str, Meta(pattern=r"^https://[^\s/]+\S*$", description="an address that begins with https://")]
ServiceUrl = Annotated[
    str,
    Meta(
        pattern=r"^(unix:/\S+|https://[^\s/]+\S*)$",
        description="unix:/path/to/socket or an address that begins with https://",
    ),
]
UnixUrl = Annotated[str, Meta(pattern=r"^unix:/\S+$", description="unix:/path/to/socket")]
MetricsUrl = Annotated[
    str,
    Meta(pattern=r"^(unix:/\S+|http://[^\s/]+:[0-9]+)$", description="unix:/path/to/socket or http://address:port"),
]
Limit = Annotated[
    str,
    Meta(pattern=r"^[1-9][0-9]*/(minute|hour|day|week)$", description='a limit such as "3/hour" or "10/day"'),
]
Colour = Annotated[str, Meta(pattern=r"^#[0-9a-fA-F]{6}$", description='a colour such as "#1a7f37"')]
# A pattern and not a Literal: the table of languages is the only list of them.
Language = Annotated[
    str,
    Meta(pattern=rf"^({'|'.join(LANGUAGES)})$", description=f"a language code: {', '.join(LANGUAGES)}"),
]
Seconds = Annotated[int, Meta(ge=1, le=86_400)]
RevealSeconds = Annotated[int, Meta(ge=5, le=3_600)]


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every table in a configuration file."""
