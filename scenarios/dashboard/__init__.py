"""Pages made from the store: sweeps, an overview, history, and the check that nothing got worse."""
