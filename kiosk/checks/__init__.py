"""``kiosk check``: looks at one side of the kiosk, says what is wrong and how to put it right, and changes nothing."""
