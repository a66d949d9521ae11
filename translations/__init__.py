"""Keeps the catalogues of the kiosk in step with its code: ``make translations``."""
