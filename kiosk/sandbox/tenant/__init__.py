"""The people and devices of the simulated tenant."""
