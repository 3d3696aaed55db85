"""fault-link: a proxy between two networks that can be cut, slowed and, for HTTP, made to lie."""
