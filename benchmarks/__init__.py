"""Compare the kiosk with a minimal Textual app and bare requests; ``python -m benchmarks`` prints the figures."""
