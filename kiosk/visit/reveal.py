"""One released key for as long as it may be seen: shown, hidden, shown again, until its time is over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kiosk.clock import Clock, Deadline
from kiosk.models import Device, Ending

if TYPE_CHECKING:
    from kiosk.recovery_key.copy_check import CopyCheck
    from kiosk.secret import SecretBuffer


@dataclass(frozen=True)
class Times:
    """How long a key may be seen. ``seconds`` at a time, again on request until ``longest``; never after ``until``."""

    seconds: float
    longest: float
    until: float


class Reveal:
    """Keeps the key sealed, and open in wipeable memory only while it is on the screen.

    So it can be hidden and shown again without asking the broker for another release. ``copy_check`` checks a copy of
    it, also when its time is over; None for a key of unusual form.
    """

    def __init__(
        self,
        device: Device,
        release_id: str,
        unseal: Callable[[], SecretBuffer],
        times: Times,
        clock: Clock,
        ended: Callable[[Reveal, Ending], None],
        *,
        warning: str | None = None,
    ) -> None:
        """Open the seal for the first time; ``ended`` is called once, when the key can no longer be shown.

        ``warning`` is the code of something that the person should know about this key.
        Raises SealBroken.
        """
        self.device = device
        self.release_id = release_id
        self.warning = warning
        self._unseal: Callable[[], SecretBuffer] | None = unseal
        self._clock = clock
        self._ended = ended
        now = clock.now()
        # The visit's own end comes first: a countdown must not promise time that is not there.
        self._latest = min(now + max(times.longest, times.seconds), times.until)
        self._seconds = times.seconds
        self.deadline = Deadline(clock, min(now + times.seconds, self._latest))
        self._shown_seconds = 0.0
        self._shown_since = now
        self.key: SecretBuffer | None = unseal()
        self.copy_check: CopyCheck | None = _copy_check(self.key)

    @property
    def visible(self) -> bool:
        """Whether the key is open."""
        return self.key is not None and not self.over

    @property
    def over(self) -> bool:
        """Whether the key can no longer be shown."""
        return self._unseal is None

    @property
    def can_extend(self) -> bool:
        """Whether more time would be more: the organisation sets the longest."""
        return not self.over and self._extended() >= self.deadline.at + 1

    @property
    def shown_seconds(self) -> float:
        """How long the key has stood on the screen."""
        until = min(self._clock.now(), self.deadline.at)
        return self._shown_seconds + (max(0.0, until - self._shown_since) if self.key is not None else 0.0)

    def tick(self) -> None:
        """End at the deadline."""
        if not self.over and self.deadline.passed():
            self.finish(Ending.COUNTDOWN if self.visible else Ending.HIDDEN)

    def hide(self) -> None:
        """Wipe the open key; the sealed one stays."""
        self._shown_seconds = self.shown_seconds
        key, self.key = self.key, None
        if key:
            key.wipe()

    def show(self) -> None:
        """Open the seal again, within the time."""
        self.tick()
        if self._unseal is not None and self.key is None:
            self._shown_since = self._clock.now()
            self.key = self._unseal()

    def extend(self) -> None:
        """Begin the time anew, up to the longest."""
        if self.can_extend:
            self.deadline = Deadline(self._clock, self._extended())

    def finish(self, how: Ending) -> None:
        """Wipe and forget the key; there is no way back. A copy of it can still be checked."""
        if not self.over:
            self._close()
            self._ended(self, how)

    def wipe(self) -> None:
        """Zero all that there is of the key, from any thread; what is sealed opens no more."""
        self._close()
        if self.copy_check:
            self.copy_check.wipe()

    def _close(self) -> None:
        self.hide()
        self._unseal = None

    def _extended(self) -> float:
        return min(self._clock.now() + self._seconds, self._latest)

    def __repr__(self) -> str:
        return f"<Reveal of release {self.release_id}>"


def _copy_check(key: SecretBuffer) -> CopyCheck | None:
    # Loaded by now, like all that opens seals; imported at the top it would delay the first screen.
    from kiosk.recovery_key.copy_check import CopyCheck

    try:
        return CopyCheck(key)
    except ValueError:
        return None
