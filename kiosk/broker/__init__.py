"""Decides whether a recovery key may be released, writes it down, fetches the key from Graph, hands it over sealed."""
