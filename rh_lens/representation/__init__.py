"""How results show themselves: a line each in a session, tables and a heat map in a notebook."""

from rh_lens.representation.heat_map_svg import SCALE, heat_map_svg
from rh_lens.representation.text import brief, cut, html_table, short_repr

__all__ = ["SCALE", "brief", "cut", "heat_map_svg", "html_table", "short_repr"]
