"""The two ways in which people sign in: on the phone, and with a device code. Both end in an access token."""
