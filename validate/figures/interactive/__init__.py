"""Figures for pages with a script: plotly, one pure `arrays -> Figure` per file."""
