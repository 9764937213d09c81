"""Interaction schedulers: when inference processes read, start and hand over their actions."""
