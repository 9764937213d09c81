"""Network families, each a few lines on LayerGraph."""
