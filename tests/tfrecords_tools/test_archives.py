"""Archives: the same files whatever holds them; a refusal of what is damaged or unsafe."""

import io
import os
import pickle
import tarfile
import zipfile

import pytest

from ms_pixelcnn_tf.errors import UserError
from support.errors import refuses
from tfrecords_tools import archive_rules, tars, zips
from tfrecords_tools.archives import Tree

FILES = {
    "top/a.txt": b"a",
    "top/b.bin": bytes(range(256)) * 5,
    "top/in/c": b"",
    "top/block": b"x" * 512,
}


def write_tar(path, files=FILES, mode="w", change=None):
    with tarfile.open(path, mode) as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            if change:
                change(info)
            tar.addfile(info, io.BytesIO(content))
    return path


def write_zip(path, files=FILES):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def write_folder(path, files=FILES):
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return path


def contents(tree):
    return {
        name: content if isinstance(content, bytes) else content.read()
        for name, content in tree.contents(tree.members)
    }


WRITERS = {
    "a.tar": write_tar,
    "a.tar.gz": lambda path: write_tar(path, mode="w:gz"),
    "a.tgz": lambda path: write_tar(path, mode="w:gz"),
    "a.tar.bz2": lambda path: write_tar(path, mode="w:bz2"),
    "a.tar.xz": lambda path: write_tar(path, mode="w:xz"),
    "a.zip": write_zip,
}


@pytest.mark.parametrize("name", WRITERS)
def test_an_archive_is_its_files(tmp_path, name):
    path = WRITERS[name](tmp_path / name)
    for source in (path, tmp_path):  # by itself, and in a folder
        tree = Tree(source)
        assert contents(tree) == FILES
        assert tree.read(["top/b.bin"]) == {"top/b.bin": FILES["top/b.bin"]}
        assert tree.text("top/a.txt") == "a"


def test_a_folder_is_its_files_and_those_of_its_archives(tmp_path):
    write_folder(tmp_path, {"own": b"1", "sub/own": b"2"})
    write_tar(tmp_path / "sub" / "a.tar", {"x": b"3"})
    assert contents(Tree(tmp_path)) == {"own": b"1", "sub/own": b"2", "sub/x": b"3"}


@pytest.mark.parametrize("plain", [True, False])
def test_a_tar_of_tars_is_a_folder_of_folders(tmp_path, plain):
    inner = {
        f"n{number}.tar": write_tar(
            tmp_path / f"n{number}", {f"n{number}_1.JPEG": b"%d" % number}
        ).read_bytes()
        for number in (1, 2)
    }
    for number in (1, 2):
        (tmp_path / f"n{number}").unlink()
    path = write_tar(tmp_path / "train.tar", inner)
    tree = Tree(path if plain else tmp_path)
    assert contents(tree) == {"n1/n1_1.JPEG": b"1", "n2/n2_1.JPEG": b"2"}


def test_members_can_be_read_by_another_process(tmp_path):
    for name in ("a.tar", "a.zip"):
        tree = Tree(WRITERS[name](tmp_path / name))
        for member in pickle.loads(pickle.dumps(list(tree.members.values()))):
            assert member.read() == FILES[member.name]


def test_find_takes_the_nearest_to_the_top(tmp_path):
    tree = Tree(
        write_folder(tmp_path, {"x/y/images.txt": b"", "x/images.txt": b"", "x/no.txt": b""})
    )
    assert tree.find("images.txt") == "x/images.txt"
    assert tree.find("y/images.txt") == "x/y/images.txt"
    with refuses(tmp_path, "mages.txt", "give the folder"):
        tree.find("mages.txt", "give the folder")


@pytest.mark.parametrize("name", WRITERS)
def test_no_cut_passes_for_whole(tmp_path, name):
    path = WRITERS[name](tmp_path / name)
    whole = path.read_bytes()
    # The end of a plain tar is two empty blocks and padding, of which one must be there.
    end = len(whole) if name != "a.tar" else whole.rindex(b"x" * 512) + 512 + 512
    for length in range(0, end, max(1, end // 97)):
        path.write_bytes(whole[:length])
        zips.opened.cache_clear()
        with refuses(path):
            contents(Tree(path))


def test_a_damaged_header_in_the_middle_is_no_end(tmp_path):
    path = write_tar(tmp_path / "a.tar")
    content = bytearray(path.read_bytes())
    place = content.index(b"top/block")
    content[place : place + 20] = b"\xff" * 20
    path.write_bytes(content)
    with refuses(path, "damaged", f"byte {place}"):
        Tree(path)


@pytest.mark.parametrize("name", ["/etc/passwd", "../up", "a/../../up", "C:/x", "a\\..\\..\\up"])
@pytest.mark.parametrize("archive", ["a.tar", "a.tgz", "a.zip"])
def test_names_that_lead_out_are_refused(tmp_path, name, archive):
    path = tmp_path / archive
    if archive == "a.zip":
        write_zip(path, {name: b""})
    else:
        write_tar(path, {name: b""}, mode="w:gz" if archive == "a.tgz" else "w")
    with refuses(path, repr(name), "out"):
        Tree(path)


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE]
)
@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_links_and_devices_are_refused(tmp_path, kind, mode):
    def change(info):
        info.type, info.linkname, info.size = kind, "/etc/passwd", 0

    path = tmp_path / ("a.tar" if mode == "w" else "a.tgz")
    with refuses(path, "'x'", "refused"):
        Tree(write_tar(path, {"x": b""}, mode, change))


def test_a_link_in_a_zip_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        info = zipfile.ZipInfo("x")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    with refuses(tmp_path / "a.zip", "'x'", "link"):
        Tree(tmp_path / "a.zip")


def test_a_bomb_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(tars, "GROWTH_SLACK", 2**16)
    path = write_tar(tmp_path / "a.tgz", {"zeros": bytes(2**22)}, "w:gz")
    with refuses(path, "bytes", "decompressed"):
        Tree(path)


def test_a_member_too_large_for_memory_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(archive_rules, "MAX_MEMBER", 100)
    for name in ("a.tar", "a.tgz", "a.zip"):
        with refuses(tmp_path / name, 100, "bytes"):
            contents(Tree(WRITERS[name](tmp_path / name)))


def test_what_is_no_source_is_told(tmp_path):
    with refuses("source", tmp_path / "nothing"):
        Tree(tmp_path / "nothing")
    (tmp_path / "file.txt").touch()
    with refuses(tmp_path / "file.txt", "archive", ".tar", ".tgz", ".zip"):
        Tree(tmp_path / "file.txt")


def test_damaged_bytes_raise_nothing_else(tmp_path):
    """Bytes overwritten at random places: the archive's files, or the project's own error."""
    generator = __import__("random").Random(0)
    for name in WRITERS:
        path = WRITERS[name](tmp_path / name)
        whole = path.read_bytes()
        for _ in range(60):
            content = bytearray(whole)
            for _ in range(generator.randint(1, 8)):
                content[generator.randrange(len(content))] = generator.randrange(256)
            path.write_bytes(content)
            zips.opened.cache_clear()
            try:
                contents(Tree(path))
            except UserError as error:
                assert "\n" not in str(error)
        os.unlink(path)
