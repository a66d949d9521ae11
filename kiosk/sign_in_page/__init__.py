"""The page that phones open to sign in: a small web service that passes what it learns to the broker."""
