"""Every row there is, local and committed, as a data frame; and what delay costs in it.

python examples/rows_with_pandas.py [FOLDER OF RESULTS]
"""

import sys
from pathlib import Path

from rtbench.results import to_pandas

folder = sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parents[1] / "results"
runs = to_pandas(results=folder)
print(f"{len(runs)} runs of {runs['suite'].nunique()} suites, {len(runs.columns)} columns")

quickstart = runs[(runs["suite"] == "quickstart") & (runs["budget.steps"] == 3000)]
table = quickstart.pivot_table(
    index=["delta", "interaction.execution"],
    columns=["architecture.skips", "architecture.augmentation"],
    values="eval_return_final",
    aggfunc=["mean", "count"],
)
print(table.round(1).to_string())
