"""Pictures, films and contact sheets of examples and samples."""
