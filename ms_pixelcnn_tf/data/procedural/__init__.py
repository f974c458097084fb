"""The built-in data sets: synthetic pictures and videos, generated as they are asked for."""
