"""A simulated tenant on loopback: Entra ID, Graph with Intune behind it, and the pages that a phone would show."""
