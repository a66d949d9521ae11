"""Measures the kiosk beside a minimal Textual app and bare requests; ``python -m benchmarks`` prints the figures."""
