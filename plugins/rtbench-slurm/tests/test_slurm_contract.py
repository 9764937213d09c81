"""The executor keeps the contract of executors, tasks being processes of a stand-in for SLURM."""

from rtbench_slurm.conformance import SlurmChecks


class TestSlurm(SlurmChecks):
    pass
