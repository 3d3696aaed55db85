"""Who may do what: bearer tokens, roles and data actions."""
