"""Results: the row of a run, where rows are kept, and what is rebuilt from them."""

from rtbench.results.query import query, to_pandas

__all__ = ["query", "to_pandas"]
