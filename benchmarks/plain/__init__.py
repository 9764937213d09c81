"""What one writes first: plain eager implementations to beat, one file per learner, none of it from rtbench."""
