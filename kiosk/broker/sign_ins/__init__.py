"""Signs people in on their phone: the broker's side of ``kiosk.sign_in_messages``."""
