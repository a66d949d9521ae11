"""What the process that forks sandboxes and brokers imports last."""

from __future__ import annotations

from tests.support.rsa_keys import load_quickly, make_ahead

load_quickly()
# A sandbox makes two: one for signing tokens, and one for the broker's certificate.
make_ahead(2)
