"""One file, one screen. A screen shows one thing and ends with one answer."""
