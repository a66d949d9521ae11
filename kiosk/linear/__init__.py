"""Linear mode: the visit as plain lines of text, for screen readers and braille."""
