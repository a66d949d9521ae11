"""What a visit needs after its first screen: loaded when nobody waits for it."""

from __future__ import annotations


def load() -> None:
    """Import the network side and the QR code, some 200 ms that would otherwise delay the first paint."""
    import msal.application
    import segno

    import kiosk.visit

    _ = (msal.application, segno, kiosk.visit)
