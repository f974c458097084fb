"""Run as a program: asks SavedModels what is in a folder's questions, with TensorFlow alone."""

import pathlib
import sys


class Refusing:
    """Nothing of ours may be imported, nor what we need and TensorFlow does not."""

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in (
            "ms_pixelcnn_tf",
            "PIL",
            "matplotlib",
            "tensorflow_datasets",
            "tqdm",
        ):
            raise ImportError(f"{name} is not to be had here")
        return None


def main(folder):
    sys.meta_path.insert(0, Refusing())

    import numpy as np
    import tensorflow as tf

    for export in sorted(pathlib.Path(folder).glob("*/export")):
        model = tf.saved_model.load(str(export))
        for asked in sorted(export.parent.glob("*.asked.npz")):
            _, signature, _ = asked.name.split(".", 2)
            with np.load(asked) as arguments:
                tensors = {name: tf.constant(values) for name, values in arguments.items()}
            answer = model.signatures[signature](**tensors)
            np.savez(
                asked.with_name(asked.name.replace("asked", "answer")),
                **{name.replace("/", "|"): value.numpy() for name, value in answer.items()},
            )


main(sys.argv[1])
