# Keras has no types of its own, and what a checker infers from its bodies is wrong ("may be None").
from typing import Any

def __getattr__(name: str) -> Any: ...
