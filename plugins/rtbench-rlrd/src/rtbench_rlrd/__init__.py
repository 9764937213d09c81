"""Delay-correcting actor-critic and augmented SAC as learners of rtbench."""
