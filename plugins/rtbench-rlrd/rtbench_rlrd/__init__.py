"""Reinforcement learning with delays (Bouteiller et al. 2021) for rtbench: delay-correcting actor-critic, and SAC."""
