"""Google robot pushing (Finn et al. 2016): videos of a robot arm that pushes objects in a bin.

Source: the folder that holds `push_train`, `push_testseen` and `push_testnovel`, with the TFRecord
files as published. They are read in place, so they must not be in an archive.

Each record gives one sequence: its steps from 0 on, up to the first one with a damaged image or
without an image, an action or a state. Images are 640 x 512 (width x height). `crop`, the default,
takes the central 512 x 512 and averages over the area of each target pixel, as early readers of
this data do. `squash` resizes the whole image to the square, so that objects appear too narrow.

Splits: the owners publish no validation split. It consists of the train files whose number has the
remainder 19 when divided by 20: 13 of 264. No recording is in two splits.

Reference: Finn et al. (2016), Unsupervised learning for physical interaction through video
prediction.
"""

import collections
import re

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from google.protobuf.message import DecodeError

from ms_pixelcnn_tf.data import decode
from ms_pixelcnn_tf.data.tfrecords.records import records_of
from ms_pixelcnn_tf.errors import UserError
from tfrecords_tools import images
from tfrecords_tools.archives import Content, Tree
from tfrecords_tools.builder import Description, Options, PaperBuilder
from tfrecords_tools.tasks import Examples, Plan, Skip, Skipped, Task

FILES = re.compile(r"push_(train|testseen|testnovel)\.tfrecord-(\d{5})-of-(\d{5})")
SPLITS = {"train": "train", "testseen": "test_seen", "testnovel": "test_novel"}
EVERY, VALIDATION = 20, 19  # a train file is for validation if its number % EVERY is this
SIDE = 64  # pixels, if `image_size` is 0
LENGTH = 5  # of an action and of a state: x, y, z, pitch, yaw
MIN_STEPS = 20  # of a sequence. A clip in the paper has 2 given frames and 18 to predict
GEOMETRY = {"crop": "centre crop", "squash": "all of 640x512 squashed"}
SHORT = f"sequences of fewer than {MIN_STEPS} steps"
CUT = "sequences cut at a damaged frame"
NOT_FINITE = "sequences with an action or a state that is not finite"


class RobotPushing(PaperBuilder):
    """The robot pushing builder. Features of an example, one sequence of n steps:

    - "frames": n images of `image_size` x `image_size` pixels; 64 x 64 if that is 0.
    - "actions": float32 `[n, 5]`: the commanded pose of the gripper at each step.
    - "states": float32 `[n, 5]`: the measured pose of the gripper at each step.
    - "file": the name of the file that holds it.
    - "key": the file's name and the record's number in it, from 0.

    The metadata's "sequences_by_steps" counts the sequences of each length (not on a Beam runner).
    """

    name = "robot_pushing"
    variants = ("crop", "squash")
    many_examples_a_task = True

    @staticmethod
    def describe(options: Options) -> Description:
        side = _side(options)
        pose = tfds.features.Tensor(shape=(LENGTH,), dtype=np.float32)
        features = tfds.features.FeaturesDict(
            {
                "frames": tfds.features.Sequence(
                    tfds.features.Image(shape=(side, side, 3), encoding_format="png")
                ),
                "actions": tfds.features.Sequence(pose),
                "states": tfds.features.Sequence(pose),
                "file": tfds.features.Text(),
                "key": tfds.features.Text(),
            }
        )
        geometry = GEOMETRY[options.variant]
        line = f"Google robot pushing, {side}x{side}, {geometry}"
        metadata = {
            "geometry": geometry,
            "min_steps": MIN_STEPS,
            "validation": f"train files whose number % {EVERY} is {VALIDATION}",
            "sequences_by_steps": collections.Counter(),
        }
        return line, features, metadata

    @staticmethod
    def plan(tree: Tree, options: Options, skip: Skip) -> Plan:
        del options
        plan = {"train": [], "validation": [], "test_seen": [], "test_novel": []}
        present, announced = set(), {}
        for name in sorted(tree.members):
            file = name.rsplit("/", 1)[-1]
            match = FILES.fullmatch(file)
            if not match:
                continue
            member = tree.members[name]
            if not _lies_by_itself(member):
                raise UserError(f"{member.where}: in an archive; unpack it, and give the folder")
            if file in present:
                skip("files listed twice")
                continue
            present.add(file)
            kind, number, total = match[1], int(match[2]), int(match[3])
            announced[kind] = max(total, announced.get(kind, 0))
            split = SPLITS[kind]
            if split == "train" and number % EVERY == VALIDATION:
                split = "validation"
            plan[split].append(Task(file, name, {}))
        if not present:
            raise UserError(
                f"{tree.source} holds no push_train.tfrecord-00000-of-00264 or the like; give the "
                "folder that holds push_train, push_testseen and push_testnovel"
            )
        skip("files of the set that are absent", sum(announced.values()) - len(present))
        if not plan["validation"]:
            skip("split, validation, for want of a train file of number 19, 39, 59 or the like")
        return Plan(plan, {})

    def _converted(self, convert, tree, tasks):
        for key, example in super()._converted(convert, tree, tasks):
            # Part of the metadata, which is written at the end.
            self.facts["sequences_by_steps"][str(len(example["actions"]))] += 1
            yield key, example

    @staticmethod
    def convert(options: Options, task: Task, content: Content) -> Examples:
        if isinstance(content, bytes):
            raise UserError(f"{task.name}: in an archive; unpack it, and give the folder")
        for number, record in enumerate(records_of(content.path)):
            key, where = f"{task.key}:{number}", f"{content.path}, record {number}"
            try:
                sequence, is_cut = _sequence(record, options, where)
            except Skipped as reason:
                yield key, reason
                continue
            if is_cut:
                yield key, Skipped(CUT)
            if len(sequence["frames"]) < MIN_STEPS:
                yield key, Skipped(SHORT)
            else:
                yield key, {**sequence, "file": task.key, "key": key}


def _side(options):
    return options.image_size or SIDE


def _lies_by_itself(member):
    """Whether it is a file on disk. A member of a tar follows a header, so its offset is not 0."""
    return member.offset == 0


def _sequence(record, options, where):
    """The complete steps of a record from 0 on, and whether a damaged frame ended them.

    Raises:
        Skipped: if an action or a state is not finite.
        UserError: if the record is malformed.
    """
    try:
        features = tf.train.Example.FromString(record).features.feature
    except DecodeError as error:
        raise UserError(f"{where}: no tf.train.Example; download the file again") from error
    frames, actions, states = [], [], []
    is_cut = False
    while True:
        step = f"move/{len(frames)}"
        keys = (
            f"{step}/image/encoded",
            f"{step}/commanded_pose/vec_pitch_yaw",
            f"{step}/endeffector/vec_pitch_yaw",
        )
        if any(key not in features for key in keys):
            break
        encoded = features[keys[0]].bytes_list.value
        if not encoded or not encoded[0]:  # late steps may have no image
            break
        action, state = (_pose(features[key], f"{where}, {key}") for key in keys[1:])
        try:
            frames.append(_frame(encoded[0], options))
        except Skipped:
            is_cut = True
            break
        actions.append(action)
        states.append(state)
    if not np.isfinite(actions).all() or not np.isfinite(states).all():
        raise Skipped(NOT_FINITE)
    return {"frames": frames, "actions": actions, "states": states}, is_cut


def _pose(feature, where):
    values = np.array(feature.float_list.value, "float32")
    if values.shape != (LENGTH,):
        raise UserError(f"{where}: {values.size} values of type float; valid: {LENGTH}")
    return values


def _frame(encoded, options):
    """JPEG bytes → PNG bytes at the target size. Raises `Skipped` if they are damaged."""
    image, side = images.decoded(encoded), _side(options)
    if options.variant == "squash":
        return images.encoded(decode.resize(image, (side, side)))
    return images.encoded(decode.crop_and_resize(image, (side, side)))
