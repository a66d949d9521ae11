"""Themes, characters and large letters."""
