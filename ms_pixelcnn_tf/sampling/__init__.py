"""Drawing: a sub-pixel after the other, from uniforms, by any of several equal ways."""
