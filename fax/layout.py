"""How large a fax page is on paper: as wide as the paper, as long as the sender's page was.

Fax resolutions are whole lines a millimetre that everyone rounds to dots an inch; the rounding is
undone here, so that an A4 page comes out as an A4 page (T.4 §2, T.30 table 2).
"""

POINTS_PER_INCH = 72
READING_DPI = 204
"""Of a page's picture for character recognition, both ways: a fax's own dots across."""
PAPER_WIDTH_POINTS = {"a4": 210 / 25.4 * POINTS_PER_INCH, "letter": 8.5 * POINTS_PER_INCH}

_PER_MM_ACROSS = {204: 8.031496, 203: 8.031496, 205: 8.031496, 408: 16.062992, 406: 16.062992}
_PER_MM_DOWN = {
    97: 3.85,
    98: 3.85,
    99: 3.85,
    195: 7.7,
    196: 7.7,
    197: 7.7,
    391: 15.4,
    392: 15.4,
    394: 15.4,
}


def true_dpi(x_dpi: float, y_dpi: float) -> tuple[float, float]:
    """The resolution that a sender meant by these dots an inch."""
    x, y = round(x_dpi), round(y_dpi)
    if x in _PER_MM_ACROSS and y in _PER_MM_DOWN:
        return _PER_MM_ACROSS[x] * 25.4, _PER_MM_DOWN[y] * 25.4
    return x_dpi, y_dpi


def page_points(
    width: int, rows: int, *, x_dpi: float, y_dpi: float, paper: str
) -> tuple[float, float]:
    """Width and height of the page in points. Args: width, rows: pixels; paper: `a4` or `letter`."""
    x, y = true_dpi(x_dpi, y_dpi)
    page_width = PAPER_WIDTH_POINTS[paper]
    return page_width, page_width * (rows / y) / (width / x)
