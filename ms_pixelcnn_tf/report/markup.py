"""HTML elements of the page; `markupsafe` escapes all text that is not HTML already."""

import base64
import io
from collections.abc import Iterable, Sequence

import numpy as np
from markupsafe import Markup, escape
from PIL import Image


def element(name: str, *content: object, **attributes: object) -> Markup:
    """An element. Attributes that are None are left out; a final underscore in a name is dropped,
    others become hyphens."""
    shown = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{name}{shown}>{''.join(map(escape, content))}</{name}>")


def table(
    columns: Iterable[object], rows: Iterable[Sequence[object]], caption: str | None = None
) -> Markup:
    """A table whose first column names its rows."""
    head = element("tr", *(element("th", column, scope="col") for column in columns))
    body = [
        element("tr", element("th", first, scope="row"), *(element("td", cell) for cell in cells))
        for first, *cells in rows
    ]
    return element(
        "div",
        element(
            "table",
            element("caption", caption) if caption else "",
            element("thead", head),
            element("tbody", *body),
        ),
        class_="wide",
    )


def picture(pixels: np.ndarray, caption: str) -> Markup:
    """A figure of uint8 `[H, W, 3]`, embedded as a PNG."""
    file = io.BytesIO()
    Image.fromarray(np.asarray(pixels, "uint8")).save(file, "PNG", optimize=True)
    return figure(file.getvalue(), "png", pixels.shape[:2], caption)


def film(pictures: np.ndarray, caption: str, fps: int = 5) -> Markup:
    """A looping figure of uint8 `[T, H, W, 3]`, embedded as a WebP."""
    first, *others = [Image.fromarray(frame) for frame in np.asarray(pictures, "uint8")]
    file = io.BytesIO()
    first.save(
        file,
        "WEBP",
        save_all=True,
        append_images=others,
        duration=round(1000 / fps),
        loop=0,
        lossless=True,
    )
    return figure(file.getvalue(), "webp", pictures.shape[1:3], caption)


def figure(content: bytes, kind: str, size: Sequence[int], caption: str) -> Markup:
    """An image file embedded in the page, with its caption."""
    data = base64.b64encode(content).decode()
    image = Markup(
        f'<img src="data:image/{kind};base64,{data}" width="{size[1]}" height="{size[0]}" '
        f'alt="{escape(caption)}" loading="lazy">'
    )
    return element("figure", image, element("figcaption", caption))


def number(value: float | None, digits: int = 4) -> str:
    """A number as text for a table; a dash for None."""
    return "–" if value is None else f"{value:,.{digits}f}"
