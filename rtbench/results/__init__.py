"""Results: the row of a run, where rows are kept, and what is rebuilt from them."""
