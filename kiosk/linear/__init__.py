"""Linear mode: the visit as plain lines of text, for screen readers and braille."""

import sys

# httpx brings a command line along, and with it Rich and a highlighter: 5 MiB that no visit needs. Like this its own
# fallback takes their place.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
