"""FileVault recovery keys: format, look-alikes, spelling, copy check."""
