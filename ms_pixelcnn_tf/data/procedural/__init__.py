"""The built-in data sets: pictures and videos generated as they are asked for, and honest about it."""
