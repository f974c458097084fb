"""ImageNet: the photographs of ILSVRC2012, and the two small versions at 32x32 and 64x64 pixels.

`full`, the default. Source: a folder that holds `ILSVRC2012_img_train.tar` (a tar with one tar per
class) and `ILSVRC2012_img_val.tar`, or the same unpacked. Images are found by their names, anywhere
in the source. A label is the position of the class's wnid among the sorted wnids of all classes: of
those with images, or, if these are fewer than 1000, of a list in `CLASS_LISTS` if the source has
one. Validation images get their classes from the class folder that they are in, or from a list in
the source, one of `LABEL_LISTS`.

The small versions, `old32`, `old64`, `new32` and `new64`: see `imagenet_small`. The pixels of old
and new versions differ, so their scores cannot be compared. Every score names its version.

Reference: Russakovsky et al. (2015), ImageNet large scale visual recognition challenge.
"""

import io
import re

import tensorflow_datasets as tfds

from ms_pixelcnn_tf.errors import UserError
from tfrecords_tools import imagenet_small, images
from tfrecords_tools.archives import Content, Tree, content_bytes
from tfrecords_tools.builder import Description, Options, PaperBuilder
from tfrecords_tools.tasks import Examples, Plan, Skip, Task

NUM_CLASSES, NUM_VALIDATION = 1000, 50_000
WNID = re.compile(r"n\d{8}")
TRAIN = re.compile(r"(n\d{8})_[^/]+\.jpe?g", re.IGNORECASE)
VALIDATION = re.compile(r"ILSVRC2012_val_(\d{8})\.jpe?g", re.IGNORECASE)
TEST = re.compile(r"ILSVRC2012_test_\d{8}\.jpe?g", re.IGNORECASE)
# Lists of all classes, a wnid first in each line; needed only if some classes have no images.
CLASS_LISTS = (
    "LOC_synset_mapping.txt",
    "synsets.txt",
    "synsets",
    "synset_words.txt",
    "imagenet_labels.txt",
    "imagenet2012_labels.txt",
    "map_clsloc.txt",
)
# Wnids of the validation images, one per line, in the order of the images' numbers.
WNID_LISTS = (
    "validation_labels.txt",
    "imagenet_2012_validation_labels.txt",
    "imagenet2012_validation_labels.txt",
)
KAGGLE, TRUTH, META = (
    "LOC_val_solution.csv",
    "data/ILSVRC2012_validation_ground_truth.txt",
    "data/meta.mat",
)
LABEL_LISTS = (*WNID_LISTS, KAGGLE, "ILSVRC2012_devkit_t12.tar.gz")
LABEL_ORDER = "sorted wnids"
ABSENT = (
    f"of {NUM_CLASSES:,} classes that are absent and in no list of classes: labels count the "
    "sorted wnids of those found"
)


class Imagenet(PaperBuilder):
    """The ImageNet builder. Features of an example:

    - "image": the source image, or resized to a shorter side of `image_size` pixels; `[S, S, 3]` in
      a small version.
    - "label": 0…999, in the order that the metadata's "label_order" names. The metadata's
      "class_names" are the wnids in that order, or empty. The `old` versions have no labels.
    - "file": the image's file in the source; in a `new` version, the batch and the row.
    """

    name = "imagenet"
    variants = ("full", *imagenet_small.VARIANTS)

    @property
    def many_examples_a_task(self) -> bool:
        return self.options.variant in imagenet_small.PACKED

    @staticmethod
    def describe(options: Options) -> Description:
        features = {
            "label": tfds.features.ClassLabel(num_classes=NUM_CLASSES),
            "file": tfds.features.Text(),
        }
        metadata = {"variant": options.variant, "label_order": LABEL_ORDER, "class_names": []}
        if options.variant == "full":
            side = options.image_size
            size = f"shorter side {side}" if side else "source resolution"
            features["image"] = tfds.features.Image(shape=(None, None, 3))
            line = f"ImageNet ILSVRC2012, {size}"
        else:
            side, line = imagenet_small.described(options)
            features["image"] = tfds.features.Image(shape=(side, side, 3), encoding_format="png")
            metadata["label_order"] = imagenet_small.LABEL_ORDER
            if options.variant not in imagenet_small.PACKED:
                del features["label"], metadata["label_order"]
        return line, tfds.features.FeaturesDict(features), metadata

    @staticmethod
    def plan(tree: Tree, options: Options, skip: Skip) -> Plan:
        if options.variant != "full":
            names = imagenet_small.class_names(tree, options.variant)
            return Plan(imagenet_small.plan(tree, options, skip), {"class_names": names})
        train, validation = _images(tree, skip)
        labels = _validation_labels(tree, validation, skip)
        classes = _classes(tree, train, labels, skip)
        places = {wnid: place for place, wnid in enumerate(classes)}
        plan = {"train": [], "validation": []}
        for file, name in train.items():
            wnid = file.split("_")[0]
            annotation = {"label": places[wnid], "file": f"{wnid}/{file}"}
            plan["train"].append(Task(file, name, annotation))
        for file, name in validation.items():
            annotation = {"label": places[labels[file]], "file": file}
            plan["validation"].append(Task(file, name, annotation))
        return Plan(plan, {"class_names": classes})

    @staticmethod
    def convert(options: Options, task: Task, content: Content) -> Examples:
        if options.variant != "full":
            yield from imagenet_small.convert(options, task, content)
            return
        content = content_bytes(content)
        image = images.decoded(content)
        if options.image_size:
            content, _ = images.shorter_side(image, options.image_size)
        yield task.key, {"image": content, **task.annotation}


def _images(tree, skip):
    """Two dicts file name → full name in the source: of the train and the validation images."""
    train, validation = {}, {}
    for name in tree.members:
        file = name.rsplit("/", 1)[-1]
        if TEST.fullmatch(file):
            skip("test images, which have no labels")
            continue
        if TRAIN.fullmatch(file):
            split = train
        elif VALIDATION.fullmatch(file):
            split = validation
        else:
            continue
        if file in split:
            skip("images listed twice")
        else:
            split[file] = name
    if not train and not validation:
        raise UserError(
            f"{tree.source} holds no image of ImageNet; give the folder that holds "
            "ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar"
        )
    return train, validation


def _classes(tree, train, labels, skip):
    """The sorted wnids of all classes. Calls `skip` for classes without images.

    Raises:
        UserError: if there are more than 1000 classes, if a list is malformed, or if it lacks the
            class of an image.
    """
    trained = {file.split("_")[0] for file in train}
    found = trained | set(labels.values())
    classes, where = found, tree.source
    if len(found) < NUM_CLASSES:
        for where in (name for file in CLASS_LISTS for name in tree.find_all(file)[:1]):
            lines = [line.split() for line in tree.text(where).splitlines() if line.strip()]
            if not lines or not all(WNID.fullmatch(line[0].split(",")[0]) for line in lines):
                raise UserError(f"{where}: not each line begins with a wnid, such as n01440764")
            classes = {line[0].split(",")[0] for line in lines}
            break
    unknown = sorted(found - classes)
    if unknown:
        raise UserError(f"{where} lacks {unknown[0]}, of which there are images; give all classes")
    if len(classes) > NUM_CLASSES:
        raise UserError(f"{where}: {len(classes)} classes; ILSVRC2012 has {NUM_CLASSES}")
    if classes is found:
        skip(ABSENT, NUM_CLASSES - len(found))
    elif train:
        skip("classes listed but without train images", len(classes - trained))
    return sorted(classes)


def _validation_labels(tree, validation, skip):
    """dict file name → wnid of each validation image. Calls `skip` for images listed but absent.

    Raises:
        UserError: if the source does not give the class of an image.
    """
    labels, rest = {}, []
    for file, name in validation.items():
        folder = name.split("/")[-2:-1]
        if folder and WNID.fullmatch(folder[0]):
            labels[file] = folder[0]
        else:
            rest.append(file)
    if not rest:
        return labels
    wnids, where = _listed_labels(tree)
    for file in rest:
        wnid = wnids.get(int(file.split("_")[-1].split(".")[0]))
        if wnid is None:
            raise UserError(f"{where} has no label of {file}; give one of all {NUM_VALIDATION}")
        if not WNID.fullmatch(wnid):
            raise UserError(f"{where}: {wnid!r} for {file} is no wnid, such as n01440764")
        labels[file] = wnid
    skip("validation images listed but absent", max(0, len(wnids) - len(validation)))
    return labels


def _listed_labels(tree):
    """dict image number → wnid, and the name of the list that it was read from."""
    for name in (name for file in WNID_LISTS for name in tree.find_all(file)[:1]):
        return dict(enumerate(tree.text(name).split(), 1)), name
    for name in tree.find_all(KAGGLE)[:1]:
        rows = re.findall(r"^ILSVRC2012_val_(\d{8}),\s*(\S+)", tree.text(name), re.MULTILINE)
        return {int(number): wnid for number, wnid in rows}, name
    for name in tree.find_all(TRUTH)[:1]:
        by_id = _devkit_classes(tree, tree.find(META, "give all of ILSVRC2012_devkit_t12.tar.gz"))
        ids = tree.text(name).split()
        wrong = [text for text in ids if text not in by_id]
        if wrong:
            raise UserError(f"{name}: {wrong[0]!r} is not in {META}; valid: 1 to {NUM_CLASSES}")
        return {number: by_id[text] for number, text in enumerate(ids, 1)}, name
    raise UserError(
        f"{tree.source} holds validation images without labels; put one of "
        f"{', '.join(LABEL_LISTS)} beside them"
    )


def _devkit_classes(tree, name):
    """dict ILSVRC id (str) → wnid, from the devkit's `meta.mat`."""
    try:
        from scipy.io import loadmat
    except ImportError as error:
        raise UserError(f"{name} needs SciPy: pip install 'ms_pixelcnn_tf[mpii]'") from error
    try:
        synsets = loadmat(io.BytesIO(tree.read([name])[name]), squeeze_me=True)["synsets"]
        pairs = zip(synsets["ILSVRC2012_ID"].tolist(), synsets["WNID"].tolist(), strict=True)
        # Ids above 1000 are parents of other synsets and have no images of their own.
        return {str(int(number)): str(wnid) for number, wnid in pairs if number <= NUM_CLASSES}
    except UserError:
        raise
    except Exception as error:  # damaged files raise many types
        raise UserError(f"{name}: not the meta.mat of ILSVRC2012: {error}") from error
