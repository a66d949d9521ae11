"""One released key while its time lasts: shown, hidden, shown again, over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kiosk.clock import Clock, Deadline
from kiosk.models import Device, Ending

if TYPE_CHECKING:
    from kiosk.recovery_key.copy_check import CopyCheck
    from kiosk.secret import SecretBuffer


# What is left of the time at least, once a page with the key has been spoken.
_TO_ASK_FOR_MORE_SECONDS = 20


@dataclass(frozen=True)
class Times:
    """How long a key may be seen: ``seconds`` at first, on request up to ``longest``, never after ``until``."""

    seconds: float
    longest: float
    until: float


class Reveal:
    """Keeps the key sealed, and open in wipeable memory only while it is on the screen.

    So the key can be hidden and shown again without another release. ``copy_check`` works even after time is up;
    it is None for a key of unusual form.
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
        """Open the seal for the first time. Calls ``ended`` once, when the key can no longer be shown.

        ``warning`` is the code of a warning about this key.
        Raises SealBroken.
        """
        self.device = device
        self.release_id = release_id
        self.warning = warning
        self._unseal: Callable[[], SecretBuffer] | None = unseal
        self._clock = clock
        self._ended = ended
        now = clock.now()
        # Bounded by the end of the visit: a countdown must not promise time that does not exist.
        self._latest = min(now + max(times.longest, times.seconds), times.until)
        self._until = times.until
        self._seconds = times.seconds
        self._spoken = False
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
        """Whether ``extend`` would add time: the organisation sets a maximum."""
        return not self.over and self._extended() >= self.deadline.at + 1

    @property
    def at_its_longest(self) -> bool:
        """Whether the deadline is the latest that the organisation allows."""
        return self.deadline.at + 1 > self._latest

    @property
    def shown_seconds(self) -> float:
        """How long the key has been visible."""
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
        """Open the seal again, if there is time left."""
        self.tick()
        if self._unseal is not None and self.key is None:
            self._shown_since = self._clock.now()
            self.key = self._unseal()

    def extend(self) -> None:
        """Restart the time, up to the maximum."""
        if self.can_extend:
            self.deadline = Deadline(self._clock, self._extended())

    @property
    def at_longest(self) -> bool:
        """Whether the time ends at its maximum."""
        return self.deadline.at >= self._latest

    def speak(self, seconds: float) -> None:
        """Note that a page with the key takes so long to be spoken: it stays a little longer than that.

        The first time, all times start after that, the maximum as well.
        """
        ends = self._clock.now() + seconds
        if self._spoken:
            ends += min(self._seconds, _TO_ASK_FOR_MORE_SECONDS)
        else:
            self._spoken = True
            self._latest = min(self._latest + seconds, self._until)
            ends += self._seconds
        if not self.over:
            self.deadline = Deadline(self._clock, max(self.deadline.at, min(ends, self._latest)))

    def heard(self) -> None:
        """Note that nothing is being spoken any more: the time has started."""
        self.deadline = Deadline(self._clock, min(self.deadline.at, self._clock.now() + self._seconds))

    def finish(self, how: Ending) -> None:
        """Wipe the key for good. A copy of it can still be checked."""
        if not self.over:
            self._close()
            self._ended(self, how)

    def wipe(self) -> None:
        """Zero everything of the key, from any thread. The seal cannot be opened again."""
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
    # Already loaded, like everything that opens seals; imported at the top it would delay the first screen.
    from kiosk.recovery_key.copy_check import CopyCheck

    try:
        return CopyCheck(key)
    except ValueError:
        return None
