"""Suites: TOML files that enumerate cells, their expansion and the identity of the runs they ask for."""
