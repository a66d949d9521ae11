"""Keep the kiosk's catalogues in step with its code: ``make translations``."""
