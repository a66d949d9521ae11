"""The simulated Entra ID."""
