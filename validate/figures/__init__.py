"""One pure function `arrays -> Figure` per file."""
