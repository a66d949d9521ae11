"""One visit: its flow, its limits, its key."""
