"""An executor for SLURM: `rtbench run SUITE --executor slurm` hands runs over as job arrays and returns."""
