"""The suites' plugin, and what must be set before container libraries are imported."""

import os

# Ryuk is an image to pull; the deployment labels and sweeps what it makes itself.
os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")
if os.path.exists("/.dockerenv"):  # noqa: PTH110 - runs before anything else
    os.environ.setdefault("TESTCONTAINERS_CONNECTION_MODE", "docker_host")

pytest_plugins = ["fixtures.reporting.plugin"]
