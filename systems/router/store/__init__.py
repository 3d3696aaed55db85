"""The durable spool, its index and the per-destination queues."""
