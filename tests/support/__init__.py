"""Helpers of all suites. They know the contract and nothing of the server's sources."""
