"""``kiosk check``: checks the kiosk or the broker, says what is wrong and how to fix it, and changes nothing."""
