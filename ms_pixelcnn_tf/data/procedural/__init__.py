"""The built-in data sets: synthetic pictures and videos, generated on demand."""
