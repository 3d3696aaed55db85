"""The durable store: blobs in append-only segments and files, a SQLite index, one group-committing writer."""
