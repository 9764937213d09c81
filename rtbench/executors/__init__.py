"""Where batches of runs are executed, and how one run is carried through."""
