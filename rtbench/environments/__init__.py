"""Environment families; each imports its package only when an environment is made."""
