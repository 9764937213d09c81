"""An architecture in ten lines, and what follows from it: ages under every delta, parameters, exact training.

python examples/architecture.py
"""

from rtbench.graph import GraphBuilder, LayerGraph


def deep(skips: bool) -> LayerGraph:
    """Four layers; with skips every one of them reads the newest observation, too."""
    graph = GraphBuilder(17, 6)  # observation and action of HalfCheetah
    fresh = [graph.observation] if skips else []
    below = graph.layer(256, [graph.observation])
    for _ in range(2):
        below = graph.layer(256, [*fresh, below])
    return graph.head(2 * 6, [*fresh, below])  # mean and spread of an action


print("observations behind an action, by age in environment steps")
for delta in (0.25, 1, 2):
    for skips in (False, True):
        graph = deep(skips)
        tick = max(1, delta)  # how often the pipeline acts, in environment steps
        ages = sorted({int(age * tick) for age, _ in graph.ages("pipelined", delta)})
        print(f"delta {delta:<5} {'skips' if skips else 'chain'}  {', '.join(map(str, ages))}")
print(f"{deep(False).parameter_count():,} parameters as a chain, {deep(True).parameter_count():,} with skips")
