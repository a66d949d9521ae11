"""Validating access tokens."""
