"""The process itself: hardening, watchdog, logging, exit codes."""
