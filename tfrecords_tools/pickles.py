"""Pickles of data: numpy arrays, lists, dicts, strings and numbers. Nothing that runs code is loaded.

A pickle is a program: loading a stranger's can run anything. Published data sets come as pickles all
the same, so this reads what data is made of and refuses every other name.
"""

import io
import pickle

from ms_pixelcnn_tf.errors import UserError

# What an array of numbers is rebuilt with, by numpy 1 and 2.
ADMITTED = {
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy.core.multiarray", "scalar"),
    ("numpy._core.multiarray", "scalar"),
    ("numpy._core.numeric", "_frombuffer"),
    ("numpy.core.numeric", "_frombuffer"),
    ("_codecs", "encode"),
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module, name):
        if (module, name) not in ADMITTED:
            raise UserError(f"names {module}.{name}, which is not data; refused")
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def loads(content, where):
    """The object in a pickle's bytes.

    Args:
        content: bytes, of any pickle protocol; strings of Python 2 become str (Latin-1).
        where: its name, for messages.

    Raises:
        UserError: if it is damaged, or names anything but data.
    """
    try:
        return _Unpickler(io.BytesIO(content), encoding="latin1").load()
    except UserError as error:
        raise UserError(f"{where}: a pickle that {error}") from error
    except Exception as error:  # a damaged pickle raises whatever its program meets
        raise UserError(f"{where}: not a whole pickle: {error}") from error
