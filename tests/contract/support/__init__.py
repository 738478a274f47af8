"""Helpers of the contract tests. They know the contract and nothing of the server's sources."""
