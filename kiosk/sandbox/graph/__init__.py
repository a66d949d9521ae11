"""The simulated Microsoft Graph."""
