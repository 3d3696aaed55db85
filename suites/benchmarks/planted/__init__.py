"""A folder for PYTHONPATH: `sitecustomize` is read by every Python that starts with it."""
