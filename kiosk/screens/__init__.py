"""One file, one screen. A screen shows one thing and gives one answer."""
