"""``broker.toml``: every table and key of the broker's configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from kiosk.config.safe_regex import Pattern
from kiosk.config.types import NOT_EMPTY, HttpsUrl, Limit, MetricsUrl, Seconds, Section, ServiceUrl, Text, UnixUrl
from kiosk.models import ReasonRule, SignInMethod

SelfService = Literal["everyone", "role", "nobody"]
ReasonPrompt = Annotated[str, Meta(pattern=NOT_EMPTY, max_length=200, description="1 to 200 characters of text")]
AuthenticationContext = Annotated[
    str, Meta(pattern=r"^[cC]([1-9]|1[0-9]|2[0-5])$", description="an authentication context, c1 to c25")
]
SinkKind = Literal["syslog", "journald", "file", "webhook"]
SinkName = Annotated[
    str, Meta(max_length=100, pattern=r"^[!-~]*( [!-~]+)*$", description="up to 100 printable ASCII characters")
]
SinkMode = Literal["required", "best-effort"]
LogLevel = Literal["debug", "info", "warning"]

# The ledger writes a release off when it is older than twice this.
LONGEST_GRAPH_SECONDS = 300


class Listen(Section, frozen=True, kw_only=True):
    """Where the broker listens. An https address needs ``certificate`` and ``key`` (PEM).

    With ``client_ca`` (PEM), only kiosks and sign-in pages with a certificate that it signed are served, unless
    ``client_crl`` (PEM) revokes it.
    ``request_seconds`` limits each of handshake, head and body. ``drain_seconds`` pass between a signal and the end.
    """

    url: ServiceUrl = "unix:/run/kiosk-broker/broker.sock"
    certificate: Path | None = None
    key: Path | None = None
    client_ca: Path | None = None
    client_crl: Path | None = None
    connections: Annotated[int, Meta(ge=16, le=16_384)] = 256
    connections_per_address: Annotated[int, Meta(ge=1, le=16_384)] = 16
    request_seconds: Annotated[int, Meta(ge=1, le=60)] = 10
    drain_seconds: Annotated[int, Meta(ge=0, le=60)] = 0


class SignInRules(Section, frozen=True, kw_only=True):
    """How people sign in, the same as in ``kiosk.toml``.

    ``page`` is the address of the sign-in page as phones reach it. The page is known by the user it runs as on a unix
    socket, or by the name in its client certificate. ``page_listen`` is a unix socket for the page alone, which also
    keeps page and kiosks apart if they run as one user. ``context`` is the authentication context that a sign-in must
    have, such as ``c7``.
    """

    method: SignInMethod = SignInMethod.WEB
    page: HttpsUrl | None = None
    page_user: Text | None = None
    page_certificate: Text | None = None
    page_listen: UnixUrl | None = None
    context: AuthenticationContext | None = None


class TokenSettings(Section, frozen=True, kw_only=True):
    """Which tokens of the sign-in service are accepted, and how old a sign-in may be.

    ``client`` is the client id of the only application that may have asked for them: that of the sign-in page, or for
    device codes that of the kiosk.
    """

    authority: HttpsUrl
    tenant: Text
    audience: Text
    client: Text
    scope: Text = "Session.Open"
    fresh_seconds: Seconds = 900
    ca_bundle: Path | None = None


class GraphSettings(Section, frozen=True, kw_only=True):
    """Microsoft Graph and the broker's credential for it.

    ``total_seconds`` limits everything that one request of a kiosk needs from Graph, with retries.
    """

    url: HttpsUrl = "https://graph.microsoft.com/beta"
    authority: HttpsUrl
    client_id: Text
    certificate: Path
    passphrase_file: Path | None = None
    ca_bundle: Path | None = None
    connect_seconds: Seconds = 5
    read_seconds: Seconds = 15
    total_seconds: Annotated[int, Meta(ge=1, le=LONGEST_GRAPH_SECONDS)] = 30


class Rules(Section, frozen=True, kw_only=True):
    """The rules of a release; ``docs/rules.md`` explains them.

    People are blocked by object id, devices by id or serial number.
    """

    company_owned_only: bool = True
    per_person: tuple[Limit, ...] = ("3/hour", "10/day")
    per_device: tuple[Limit, ...] = ("5/day",)
    per_kiosk: tuple[Limit, ...] = ()
    overall: tuple[Limit, ...] = ()
    reason: ReasonRule = ReasonRule.OFF
    reason_prompt: ReasonPrompt | None = None
    reason_pattern: Pattern | None = None
    self_service: SelfService = "everyone"
    blocked_people: tuple[Text, ...] = ()
    blocked_devices: tuple[Text, ...] = ()


class LimitSettings(Section, frozen=True, kw_only=True):
    """How much one person may ask of one broker, whatever the answer. Counted in memory.

    ``list_seconds`` is how long the list of a person's Macs is kept. 0 asks Graph each time.
    ``sign_ins_per_hour`` is for each kiosk. So is ``people_per_hour``, and only for device codes: how many different
    people may sign in there. For device codes, the record is counted.
    """

    requests_per_minute: Annotated[int, Meta(ge=1, le=100_000)] = 30
    requests_at_once: Annotated[int, Meta(ge=1, le=100_000)] = 20
    refused_releases_per_hour: Annotated[int, Meta(ge=1, le=100_000)] = 20
    list_seconds: Annotated[int, Meta(ge=0, le=60)] = 10
    sign_ins_per_hour: Annotated[int, Meta(ge=1, le=100_000)] = 60
    people_per_hour: Annotated[int, Meta(ge=1, le=100_000)] = 12

    @property
    def seconds_to_fill(self) -> float:
        """The seconds after which somebody who has used up all requests has all of them again."""
        return self.requests_at_once * 60 / self.requests_per_minute


class RecordSettings(Section, frozen=True, kw_only=True):
    """The record. ``signing_key`` (PEM) signs its head, and a checkpoint after so many seconds or entries.

    ``seen_file`` keeps the newest head that the broker saw.
    """

    database: Text = "sqlite:////var/lib/kiosk-broker/record.db"
    signing_key: Path | None = None
    # Not a Path: those must exist, and the broker makes this file at its first start.
    seen_file: Text | None = None
    checkpoint_seconds: Seconds = 600
    checkpoint_entries: Annotated[int, Meta(ge=1, le=1_000_000)] = 100


class SinkSettings(Section, frozen=True, kw_only=True):
    """A receiver of every row of the record; ``docs/sinks.md`` has the addresses of each kind.

    ``name`` is what brokers on one database tell it by. Without one it is kind and address, and for a receiver on the
    broker's own machine the machine's name as well.
    """

    kind: SinkKind
    name: SinkName = ""
    url: str = ""
    mode: SinkMode
    ca_bundle: Path | None = None
    token_file: Path | None = None


class LogSettings(Section, frozen=True, kw_only=True):
    """How much the broker writes to stderr."""

    level: LogLevel = "info"


class MetricsSettings(Section, frozen=True, kw_only=True):
    """Where ``/metrics`` is served, if anywhere."""

    listen: MetricsUrl | None = None


class BrokerConfig(Section, frozen=True, kw_only=True):
    """``broker.toml``."""

    listen: Listen = Listen()
    sign_in: SignInRules = SignInRules()
    tokens: TokenSettings
    graph: GraphSettings
    rules: Rules = Rules()
    limits: LimitSettings = LimitSettings()
    record: RecordSettings = RecordSettings()
    sink: tuple[SinkSettings, ...] = ()
    log: LogSettings = LogSettings()
    metrics: MetricsSettings = MetricsSettings()
