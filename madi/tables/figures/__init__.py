"""Figures: plots of cells and of training curves, and grids of pictures, the same bytes for the same data."""
