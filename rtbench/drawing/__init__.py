"""Layers against time: a value first, then its drawings as SVG and as text."""
