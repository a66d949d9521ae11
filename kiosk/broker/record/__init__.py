"""The record: who asked for which key, when, and what came of it."""
