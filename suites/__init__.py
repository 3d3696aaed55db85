"""Black-box suites: what is promised, checked on running systems."""
