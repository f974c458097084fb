"""What the tests share: small models and runs, proofs, fake parts, processes, and written inputs."""
