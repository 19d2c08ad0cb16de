"""Notebooks run by papermill in kernels of our own: the day's phases and a person's own."""
