"""Connections: clients, TLS, servers."""
