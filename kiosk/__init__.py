"""A terminal kiosk where a person reads the FileVault recovery key of their own managed Mac."""

__version__ = "0.1.0"
