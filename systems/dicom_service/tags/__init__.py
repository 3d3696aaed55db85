"""Extended query tags: attributes that clients make searchable (TAG-001 to TAG-072)."""
