"""Captions of `shapes`: English sentences that are true of a scene."""

from ms_pixelcnn_tf.data.procedural.shapes_scene import COLOUR_NAMES, KINDS, Scene, Shape

NUM_CAPTIONS = 5
# Nominal radius, in units of the image's shorter side: a shape is "small" up to the first and
# "large" from the second. All shapes but the main one are small.
SMALL, LARGE = 0.19, 0.26
# A centre between these fractions of the width or height counts as in the middle.
MIDDLE = (0.4, 0.6)
RELATIONS = ("above", "below", "to the left of", "to the right of")
PLACES = {
    (-1, -1): "in the upper left",
    (-1, 0): "at the top",
    (-1, 1): "in the upper right",
    (0, -1): "on the left",
    (0, 0): "in the middle",
    (0, 1): "on the right",
    (1, -1): "in the lower left",
    (1, 0): "at the bottom",
    (1, 1): "in the lower right",
}


def captions(scene: Scene, coloured: bool) -> list[str]:
    """NUM_CAPTIONS different sentences.

    Args:
        scene: a `Scene`.
        coloured: whether to name colours; False for a gray image, which does not show them.
    """
    main, *others = scene.shapes
    ground = "light" if scene.ground.light else "dark"

    def plain(shape):
        return _with_article(_noun(shape, coloured))

    def full(shape):
        return _with_article(" ".join(filter(None, [_size(shape), _noun(shape, coloured)])))

    def placed(shape):
        return f"{full(shape)} {place(shape, scene.extent)}"

    def relation(shape, other):
        return f"{plain(shape)} {_relation(shape, other)} {plain(other)}"

    if not others:
        return [
            plain(main),
            placed(main),
            f"one {_noun(main, coloured)} on a {ground} background",
            f"there is a single shape, {plain(main)}",
            f"a picture of a {KINDS[main.kind]} {place(main, scene.extent)}",
        ]
    if len(others) == 1:
        return [
            relation(main, others[0]),
            relation(others[0], main),
            f"{full(main)} and {full(others[0])}",
            f"{placed(main)} and {placed(others[0])}",
            f"{plain(main)} and a smaller {_noun(others[0], coloured)} on a {ground} background",
        ]
    return [
        relation(main, others[0]),
        relation(others[1], main),
        f"{full(main)}, {full(others[0])} and {full(others[1])}",
        f"{placed(main)}, {placed(others[0])} and {placed(others[1])}",
        f"three shapes on a {ground} background: {plain(main)}, {plain(others[0])} and "
        f"{plain(others[1])}",
    ]


def place(shape: Shape, extent: tuple[float, float]) -> str:
    """Where the shape's centre lies in the picture: one of the values of PLACES."""
    row, column = (
        (position > MIDDLE[1] * length) - (position < MIDDLE[0] * length)
        for position, length in ((shape.y, extent[1]), (shape.x, extent[0]))
    )
    return PLACES[row, column]


def _noun(shape, coloured):
    kind = KINDS[shape.kind]
    return f"{COLOUR_NAMES[shape.colour]} {kind}" if coloured else kind


def _size(shape):
    if shape.radius >= LARGE:
        return "large"
    return "small" if shape.radius <= SMALL else ""


def _with_article(noun):
    return ("an " if noun[0] in "aeiou" else "a ") + noun


def _relation(shape, other):
    """Where the shape lies relative to the other, along the axis on which they differ most."""
    across, down = shape.x - other.x, shape.y - other.y
    above, below, left, right = RELATIONS
    if abs(down) > abs(across):
        return above if down < 0 else below
    return left if across < 0 else right
