"""Decides the split of each image of a folder by its content, or by that of its group."""

import hashlib
import os
import posixpath
from collections.abc import Sequence


def in_validation(digest: bytes, fraction: float) -> bool:
    """Whether content with this digest (bytes) belongs to validation."""
    return int.from_bytes(digest[:8], "big") < fraction * 2**64


def group_keys(
    digests: Sequence[bytes], paths: Sequence[str], values: Sequence[str]
) -> list[bytes]:
    """One key per image, which decides its split: equal for all images of a group.

    Images are in one group if they have the same value or the same content, if the value of one
    names the path of the other, or through further images.

    The key of a group is its digest, if it has only one. Otherwise it is a hash of its smallest
    digest. The smallest digest itself would put large groups into validation more often than small
    ones.

    Args:
        digests: N digests of content.
        paths: N paths of the images below the folder.
        values: N values of the field that groups them, "" for none. A value may be a path, with
            `/` between its parts, below the folder or below the image's own directory.

    Returns:
        N keys.
    """
    parents = {}

    def root(node):
        while parents.setdefault(node, node) != node:
            parents[node] = parents[parents[node]]
            node = parents[node]
        return node

    for digest, path, value in zip(digests, paths, values, strict=True):
        path = path.replace(os.sep, "/")
        nodes = [("content", digest), ("path", path)]
        if value:
            below_own = posixpath.join(posixpath.dirname(path), value)
            nodes.append(("value", value))
            nodes += [("path", posixpath.normpath(named)) for named in (value, below_own)]
        for node in nodes[1:]:
            parents[root(node)] = root(nodes[0])
    members = {}
    for digest in {*digests}:
        members.setdefault(root(("content", digest)), []).append(digest)
    keys = {
        group: own[0] if len(own) == 1 else hashlib.sha256(min(own)).digest()
        for group, own in members.items()
    }
    return [keys[root(("content", digest))] for digest in digests]
