"""Random bytes and texts: any input gives a result or the project's own error, nothing else.

Bounded and derandomised, so that a run is the same everywhere; raise MAX_EXAMPLES to look further.
"""

import io
import json
import pathlib
import tarfile
import tempfile
import zipfile

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ms_pixelcnn_tf.data.tfrecords.records import records_of
from ms_pixelcnn_tf.errors import UserError
from support.written_cub import write_cub
from tfrecords_tools import zips
from tfrecords_tools.archives import Tree
from tfrecords_tools.builder import Options
from tfrecords_tools.coco import Coco
from tfrecords_tools.cub import Cub
from tfrecords_tools.imagenet import Imagenet
from tfrecords_tools.mpii import Mpii
from tfrecords_tools.robot_pushing import RobotPushing
from tfrecords_tools.tasks import converted, jobs_of

MAX_EXAMPLES = 150
bounded = settings(
    max_examples=MAX_EXAMPLES,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
# Where and how a file's bytes are changed: overwritten, cut out, or doubled.
changes = st.lists(
    st.tuples(st.sampled_from("ocd"), st.floats(0, 1), st.binary(min_size=1, max_size=8)),
    min_size=1,
    max_size=4,
)


def changed(content, edits):
    """`content` with the edits made."""
    content = bytearray(content)
    for kind, place, new in edits:
        start = int(place * max(len(content) - 1, 0))
        if kind == "o":
            content[start : start + len(new)] = new
        elif kind == "c":
            del content[start : start + len(new) ** 2]
        else:
            content[start:start] = content[start : start + len(new) ** 2]
    return bytes(content)


def survives(function):
    """Runs it; a `UserError` of one line is a good answer, any other error is not."""
    try:
        function()
    except UserError as error:
        assert str(error) and "\n" not in str(error)


def convert_everything(cls, folder, variant):
    """Plans and converts all of a source."""
    tree, options = Tree(folder), Options(16, variant)
    plan = cls.plan(tree, options, lambda reason, count=1: None).tasks
    tasks = [task for tasks in plan.values() for task in tasks]
    for task, content in jobs_of(tree, tasks):
        converted(lambda t, c: cls.convert(options, t, c), task, content)


def with_file(path, content, function):
    """Runs `function` while a file holds other bytes."""
    before = path.read_bytes()
    path.write_bytes(content)
    try:
        survives(function)
    finally:
        path.write_bytes(before)


@bounded
@given(st.binary(max_size=200))
def test_record_files_of_any_bytes(content):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "a.tfrecord")
        path.write_bytes(content)
        survives(lambda: list(records_of(str(path))))


@pytest.fixture(scope="module")
def record_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("records") / "a.tfrecord"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in (b"", b"a" * 50, bytes(range(256))):
            writer.write(record)
    return path


@bounded
@given(changes)
def test_changed_record_files_never_give_other_records(record_file, edits):
    whole = list(records_of(str(record_file)))
    content = changed(record_file.read_bytes(), edits)

    def read():
        assert all(record in whole for record in records_of(str(record_file)))

    with_file(record_file, content, read)


def tar_bytes(mode):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as tar:
        for name, content in {"a/b.txt": b"text", "c" * 120: bytes(700), "d.tar": b""}.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            info.pax_headers = {"comment": "é"}
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def zip_bytes():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/b.txt", "text" * 50)
        archive.writestr("é.bin", bytes(300))
    return buffer.getvalue()


ARCHIVES = {"x.tar": tar_bytes("w"), "x.tgz": tar_bytes("w:gz"), "x.zip": zip_bytes()}


@pytest.mark.parametrize("name", ARCHIVES)
@bounded
@given(edits=changes)
def test_changed_archives(name, edits):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, name)
        path.write_bytes(changed(ARCHIVES[name], edits))
        zips.opened.cache_clear()
        survives(lambda: (lambda tree: tree.read(tree.members))(Tree(path)))


@pytest.mark.parametrize("name", ARCHIVES)
@bounded
@given(content=st.binary(max_size=1200))
def test_archives_of_any_bytes(name, content):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, name)
        path.write_bytes(content)
        zips.opened.cache_clear()
        survives(lambda: (lambda tree: tree.read(tree.members))(Tree(path)))


@pytest.fixture(scope="module")
def cub(tmp_path_factory):
    root = tmp_path_factory.mktemp("cub")
    write_cub(root, images_a_class=1)
    return root


CUB_TABLES = (
    "images.txt",
    "image_class_labels.txt",
    "bounding_boxes.txt",
    "train_test_split.txt",
    "classes.txt",
    "parts/part_locs.txt",
)


@pytest.mark.parametrize("table", CUB_TABLES)
@settings(bounded, max_examples=40)
@given(edits=changes)
def test_changed_tables_of_cub(cub, table, edits):
    path = cub / "CUB_200_2011" / table
    with_file(
        path, changed(path.read_bytes(), edits), lambda: convert_everything(Cub, cub, "disjoint")
    )


@settings(bounded, max_examples=40)
@given(edits=changes)
def test_changed_images_of_cub(cub, edits):
    path = sorted((cub / "CUB_200_2011" / "images").glob("*/*.jpg"))[0]
    with_file(
        path, changed(path.read_bytes(), edits), lambda: convert_everything(Cub, cub, "disjoint")
    )


documents = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 300) | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "images",
                    "annotations",
                    "categories",
                    "id",
                    "image_id",
                    "file_name",
                    "width",
                    "height",
                    "segmentation",
                    "counts",
                    "size",
                    "category_id",
                    "iscrowd",
                    "caption",
                    "name",
                    "bbox",
                    "joints",
                    "joints_vis",
                    "center",
                    "scale",
                    "image",
                ]
            ),
            inner,
            max_size=6,
        )
    ),
    max_leaves=25,
)


@pytest.fixture(scope="module")
def coco(tmp_path_factory):
    """One image with two objects, as COCO writes them."""
    root = tmp_path_factory.mktemp("coco")
    (root / "annotations").mkdir()
    (root / "train2017").mkdir()
    from PIL import Image

    from tfrecords_tools.coco import CATEGORIES

    Image.fromarray(np.zeros((24, 32, 3), "uint8")).save(root / "train2017" / "000000000001.jpg")
    image = {"id": 1, "file_name": "000000000001.jpg", "width": 32, "height": 24}
    instances = {
        "images": [image],
        "categories": [{"id": n + 1, "name": name} for n, name in enumerate(CATEGORIES)],
        "annotations": [
            {
                "id": 1,
                "image_id": 1,
                "category_id": 3,
                "iscrowd": 0,
                "segmentation": [[2.0, 2.0, 20.0, 2.0, 20.0, 18.0]],
                "bbox": [2, 2, 18, 16],
            },
            {
                "id": 2,
                "image_id": 1,
                "category_id": 1,
                "iscrowd": 1,
                "segmentation": {"counts": [100, 200, 468], "size": [24, 32]},
                "bbox": [0, 0, 9, 9],
            },
        ],
    }
    captions = {"images": [image], "annotations": [{"id": 1, "image_id": 1, "caption": "a thing"}]}
    for name, document in (("instances", instances), ("captions", captions)):
        (root / "annotations" / f"{name}_train2017.json").write_text(json.dumps(document))
    return root


def test_the_coco_of_these_tests_is_whole(coco):
    convert_everything(Coco, coco, "2017")


def replaced(document, place, value):
    """A copy of a document with `value` at one of its places, counted in depth-first order."""
    document = json.loads(json.dumps(document))
    places = []

    def visit(node):
        for key in node if isinstance(node, dict) else range(len(node)):
            places.append((node, key))
            if isinstance(node[key], (dict, list)):
                visit(node[key])

    visit(document)
    # Categories are long and alike: a few of them are enough.
    places = [
        p for n, p in enumerate(places) if not (isinstance(p[0], dict) and "name" in p[0]) or n < 20
    ]
    node, key = places[int(place * (len(places) - 1))]
    node[key] = value
    return document


@pytest.mark.parametrize("name", ["instances", "captions"])
@bounded
@given(place=st.floats(0, 1), value=documents)
def test_coco_with_anything_anywhere(coco, name, place, value):
    path = coco / "annotations" / f"{name}_train2017.json"
    document = replaced(json.loads(path.read_text()), place, value)
    with_file(path, json.dumps(document).encode(), lambda: convert_everything(Coco, coco, "2017"))


@pytest.fixture(scope="module")
def mpii(tmp_path_factory):
    """One person, as MSRA writes them."""
    root = tmp_path_factory.mktemp("mpii")
    (root / "images").mkdir()
    from PIL import Image

    Image.fromarray(np.zeros((80, 60, 3), "uint8")).save(root / "images" / "1.jpg")
    person = {
        "image": "1.jpg",
        "joints": [[20.0 + n, 30.0 + n] for n in range(16)],
        "joints_vis": [1] * 16,
        "scale": 0.3,
        "center": [30.0, 40.0],
    }
    (root / "train.json").write_text(json.dumps([person]))
    return root


@bounded
@given(place=st.floats(0, 1), value=documents)
def test_mpii_with_anything_anywhere(mpii, place, value):
    path = mpii / "train.json"
    document = replaced(json.loads(path.read_text()), place, value)
    with_file(path, json.dumps(document).encode(), lambda: convert_everything(Mpii, mpii, ""))


@pytest.mark.parametrize(
    "cls, name", [(Coco, "annotations/instances_train2017.json"), (Mpii, "train.json")]
)
@settings(bounded, max_examples=60)
@given(edits=changes)
def test_changed_json(coco, mpii, cls, name, edits):
    root, variant = (coco, "2017") if cls is Coco else (mpii, "")
    path = root / name
    with_file(
        path, changed(path.read_bytes(), edits), lambda: convert_everything(cls, root, variant)
    )


@pytest.fixture(scope="module")
def push(tmp_path_factory):
    """A record of four steps, and the folder it stands in."""
    root = tmp_path_factory.mktemp("push")
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(np.zeros((16, 20, 3), "uint8")).save(buffer, "JPEG")
    example = tf.train.Example()
    for step in range(4):
        features = example.features.feature
        features[f"move/{step}/image/encoded"].bytes_list.value.append(buffer.getvalue())
        for kind in ("commanded_pose", "endeffector"):
            features[f"move/{step}/{kind}/vec_pitch_yaw"].float_list.value.extend([0.5] * 5)
    (root / "push_train").mkdir()
    return root, example.SerializeToString()


@bounded
@given(edits=changes)
def test_changed_records_of_robot_pushing(push, edits):
    root, record = push
    path = root / "push_train" / "push_train.tfrecord-00000-of-00264"
    with tf.io.TFRecordWriter(str(path)) as writer:
        writer.write(changed(record, edits))
    survives(lambda: convert_everything(RobotPushing, root, "crop"))


@pytest.mark.parametrize("name", ["validation_labels.txt", "LOC_val_solution.csv", "synsets.txt"])
@settings(bounded, max_examples=60)
@given(content=st.binary(max_size=80) | st.text("n0123456789,\n _", max_size=80).map(str.encode))
def test_lists_of_imagenet(name, content):
    from PIL import Image

    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for file in ("n01440764_1.JPEG", "ILSVRC2012_val_00000001.JPEG"):
            Image.fromarray(np.zeros((9, 9, 3), "uint8")).save(root / file)
        (root / name).write_bytes(content)
        survives(lambda: convert_everything(Imagenet, root, "full"))
