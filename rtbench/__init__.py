"""rtbench: the benchmark suite for real-time reinforcement learning."""

__version__ = "0.1.0"
