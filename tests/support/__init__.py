"""Shared by the tests: small models and runs, proofs, fakes, commands, and written inputs."""
