"""An architecture and a scheduler for rtbench."""
