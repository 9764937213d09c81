"""How a graph is executed and measured."""
