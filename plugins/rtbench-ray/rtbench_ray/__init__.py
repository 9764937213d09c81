"""An executor for Ray: `rtbench run SUITE --executor ray` runs every job as a task of a cluster."""
