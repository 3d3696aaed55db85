"""entra-id: a stand-in for Microsoft Entra ID that issues real, verifiable tokens for one tenant."""
