"""A terminal kiosk where a person reads the FileVault recovery key of their own managed Mac."""

try:
    # Written when the package is built or installed; reading the metadata instead would delay every start.
    from kiosk._version import __version__ as __version__
except ModuleNotFoundError:
    __version__ = "0.0.0.dev0"
