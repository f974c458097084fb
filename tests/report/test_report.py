"""The report: one file that is whole by itself, right, and readable on a phone and in the dark."""

import base64
import html
import html.parser
import io
import re

import numpy as np
import pytest
from PIL import Image

from ms_pixelcnn_tf import pretrained
from ms_pixelcnn_tf.cli import report
from ms_pixelcnn_tf.configs import make_run
from ms_pixelcnn_tf.evaluation.splits import evaluate
from ms_pixelcnn_tf.report import curves, markup, published, subject
from ms_pixelcnn_tf.runs import card
from ms_pixelcnn_tf.runs.metrics import read_metrics
from ms_pixelcnn_tf.runs.run import Run
from ms_pixelcnn_tf.runs.source import load_source
from ms_pixelcnn_tf.training import loop
from support import browser
from support.commands import exit_status
from support.errors import missing_facts
from support.models import small_image, small_video
from support.runs import SilentProgress

SIZES = {"image_size": 8, "channels": 3, "num_levels": 16, "base_layers": 1}
TRAIN = {
    "crop_size": 0,
    "batch_size": 2,
    "steps": 6,
    "evaluate_every": 2,
    "log_every": 2,
    "sample_every": 0,
    "checkpoint_every": 6,
    "evaluation_examples": 4,
    "ema_decay": 0.0,
}
RUNS = {
    "words <&> masks": small_image(**SIZES, base_size=4) | {"conditions": "text,segmentation"},
    "plain": small_image(**SIZES, variant="ON") | {"learning_rate": 0.02, "conditions": "label"},
}
FILM = small_video("OTN", **SIZES, num_frames=4, action_size=5, state_size=5) | {
    "dataset": "shapes_push"
}
VOID = ("meta", "img", "br", "line", "circle", "polyline")


@pytest.fixture(scope="module")
def workdirs(tmp_path_factory):
    """Folders of two runs of images and one of videos."""
    root, found = tmp_path_factory.mktemp("runs"), {}
    for name, fields in {**RUNS, "film": FILM}.items():
        run = make_run(**TRAIN | fields)
        loop.train(run, root / name, load_source(run), progress=SilentProgress)
        found[name] = root / name
    return found


@pytest.fixture(scope="module")
def page(workdirs, tmp_path_factory):
    """All of them on one page."""
    out = tmp_path_factory.mktemp("out") / "report.html"
    flags = [f"--workdir={workdir}" for workdir in workdirs.values()]
    report.main([*flags, f"--out={out}", "--examples=3", "--title=a <b>bold</b> title"])
    return out


class Balanced(html.parser.HTMLParser):
    """Sees that each element ends, within the one it began in."""

    def __init__(self):
        super().__init__()
        self.open, self.links = [], []

    def handle_starttag(self, tag, attributes):
        self.links += [value for name, value in attributes if name in ("src", "href")]
        if tag not in VOID[:3]:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.mark.slow
def test_it_is_whole_by_itself(page):
    content = page.read_text()
    parser = Balanced()
    parser.feed(content)
    assert not parser.open and parser.links
    assert all(link.startswith("data:image/") for link in parser.links)
    assert not re.search(r"https?://|<script|@import|url\(", content)


@pytest.mark.slow
def test_what_a_run_says_is_text(page):
    content = page.read_text()
    assert "<title>a &lt;b&gt;bold&lt;/b&gt; title</title>" in content
    assert "words &lt;&amp;&gt; masks" in content and "words <&> masks" not in content


@pytest.mark.slow
def test_every_picture_shows_something(page):
    found = re.findall(
        r'src="data:image/(\w+);base64,([^"]+)" width="(\d+)" height="(\d+)"', page.read_text()
    )
    kinds = [kind for kind, *_ in found]
    # words: samples, pyramid, upscaled, surprise; plain: samples, surprise; film: strip, film.
    assert kinds == ["png"] * 7 + ["webp"]
    for _, data, width, height in found:
        image = Image.open(io.BytesIO(base64.b64decode(data)))
        assert image.size == (int(width), int(height))
        assert np.asarray(image.convert("RGB")).std() > 5
    assert image.n_frames == 4 and image.info["loop"] == 0


@pytest.mark.slow
def test_its_numbers_are_the_runs(page, workdirs):
    content = page.read_text()
    for name in RUNS:
        last = read_metrics(workdirs[name])[-1]
        assert f"<td>{last['validation_bits']:.4f}</td>" in content
    model = Run(workdirs["plain"]).model()
    source = load_source(make_run(**TRAIN | RUNS["plain"]))
    result = evaluate(model, source, "novel", 2, limit=3)
    assert f"<td>{result.bits_per_dim:.4f}</td>" in content
    assert f"{subject.read(workdirs['plain'], 'plain').parameters:,}" in content
    assert not missing_facts(content, "naive", "192 evaluations", "extrapolated")
    for table in (published.TABLE_1, published.TABLE_2, published.TABLE_3, published.TABLE_4):
        assert table.title in content
    assert "<td>0.74</td><td>0.74</td><td>1.06</td><td>0.97</td>" in content


@pytest.mark.slow
def test_it_says_where_runs_differ(page):
    differing = re.search(r"where they differ.*?</table>", page.read_text(), re.DOTALL)[0]
    assert ">learning_rate<" in differing and ">batch_size<" not in differing


def test_curves_are_drawn_at_scale():
    drawn = curves.chart(
        [("one", "c0", False, [(0, 2.0), (50, 1.0), (100, None), (100, 1.5)])], "x", "y"
    )
    points = re.search(r'points="([^"]+)"', drawn)[1]
    (x0, y0), (x1, y1), (x2, y2) = (map(float, point.split(",")) for point in points.split())
    assert x1 - x0 == pytest.approx(x2 - x1) and y0 < y2 < y1
    assert y2 - y0 == pytest.approx(y1 - y2, abs=0.2)
    assert curves.chart([("none", "c0", False, [(1, None), (2, float("nan"))])], "x", "y") == ""
    for value in (1.0, 0.0, -3.0):  # one point, or a level line, has a range too
        assert "nan" not in curves.chart([("one", "c0", False, [(5, value)])], "x", "y")


def test_text_is_escaped_once():
    assert markup.element("p", "a<b", markup.element("i", "&")) == "<p>a&lt;b<i>&amp;</i></p>"
    assert markup.element("p", title='"') == '<p title="&#34;"></p>'


@pytest.mark.slow
def test_a_model_that_ships_is_told_of_by_its_card(tmp_path):
    report.main(["--model=shapes-tiny", f"--out={tmp_path / 'r.html'}", "--examples=2"])
    content = (tmp_path / "r.html").read_text()
    facts = card.read(pretrained.folder_of("shapes-tiny"))
    (told,) = (row["bits_per_dim"] for row in facts["bits_per_dim"] if row["split"] == "validation")
    assert "<title>shapes-tiny</title>" in content
    assert f"<td>{facts['step']:,}</td>" in content and f"<td>{told:.4f}</td>" in content
    assert "<svg" not in content  # no curve


def test_names_are_as_short_as_they_can_be():
    assert subject.names(["a/b", "c/d"]) == ["b", "d"]
    assert subject.names(["a/run", "c/run"]) == ["a/run", "c/run"]
    assert subject.names(["exports/shapes/1"]) == ["shapes/1"]


@pytest.mark.slow
def test_without_its_data_a_run_tells_what_it_can(workdirs, tmp_path, monkeypatch):
    def gone(self, data_dir=None):
        raise OSError("the data is not there")

    monkeypatch.setattr(Run, "source", gone)
    report.main([f"--workdir={workdirs['plain']}", f"--out={tmp_path / 'r.html'}"])
    content = (tmp_path / "r.html").read_text()
    assert content.count("the data is not there") == 2  # in place of scores, and of pictures
    assert "<svg" in content


@pytest.mark.slow
@pytest.mark.parametrize(
    "flags, facts",
    [
        (["--workdir={plain}", "--workdir={plain}"], ("workdir", "{plain}", "twice")),
        ([], ("--workdir=DIR", "--model")),
        (["--workdir=nowhere"], ("nowhere", "folder", "config.json")),
        (["--workdir={plain}", "--out={plain}"], ("{plain}", "folder", "file")),
        (["--workdir={plain}", "--seed=-1"], ("seed", -1)),
    ],
)
def test_mistakes_are_told(workdirs, tmp_path, monkeypatch, capsys, flags, facts):
    out = tmp_path / "report.html"
    out.write_text("an older one")
    flags = [flag.format(plain=workdirs["plain"]) for flag in flags]
    assert exit_status(monkeypatch, report.main, f"--out={out}", *flags) == 2
    facts = [str(fact).format(plain=workdirs["plain"]) for fact in facts]
    assert not missing_facts(capsys.readouterr().err, *facts)
    assert out.read_text() == "an older one"


@pytest.mark.slow
@browser.needed
@pytest.mark.parametrize("width", [1280, 375])
def test_it_fits_its_window(page, tmp_path, width):
    """In a frame, since the browser has no window as narrow as a phone."""
    framed = tmp_path / "framed.html"
    content = html.escape(page.read_text(), quote=True)
    framed.write_text(
        f'<iframe style="width: {width}px; height: 900px; border: 0" srcdoc="{content}" onload="'
        "const root = this.contentDocument.documentElement;"
        'document.title = [root.scrollWidth, root.clientWidth]"></iframe>'
    )
    shown = browser.text(framed.as_uri(), seconds=5, size=(1400, 1000))
    needed, given = map(int, re.search(r"<title>(\d+),(\d+)</title>", shown).groups())
    assert width - 20 <= given <= width and needed <= given


@pytest.mark.slow
@browser.needed
def test_it_is_dark_where_the_reader_wants_it(page):
    light, dark = (
        browser.screenshot(page.as_uri(), (900, 900), dark=dark) for dark in (False, True)
    )
    assert light[2, 2].min() > 240 and dark[2, 2].max() < 40
    assert light.std() > 5 and dark.std() > 5
