"""A report as CSV, or as one page of HTML that needs nothing else: no script, no other resource."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from freehold.audit.report import Kind, Table
from freehold.wire.page import page_head

_TITLES = {
    Kind.PROCESSING: "Record of processing",
    Kind.TRANSFERS: "Transfers beyond this device",
    Kind.WHO: "Who sent what where",
}
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
_STYLE = """
:root{--paper:#fff;--ink:#1a2027;--soft:#56616d;--rule:#dfe4ea}
@media (prefers-color-scheme:dark){:root{--paper:#12161b;--ink:#e7ebef;--soft:#a3aeb9;--rule:#2c343d}}
body{margin:2rem;background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
h1{margin:0 0 .5rem;font-size:1.6rem}
p,footer{color:var(--soft);max-width:60rem}
.frame{overflow-x:auto}
.frame:focus-visible{outline:2px solid;outline-offset:3px}
table{border-collapse:collapse;font-size:.85rem;font-variant-numeric:tabular-nums}
caption{text-align:left;color:var(--soft)}
th,td{padding:.35rem .6rem;border-bottom:1px solid var(--rule);text-align:left;vertical-align:top;overflow-wrap:anywhere}
thead th{color:var(--soft)}
@media print{body{margin:0}.frame{overflow:visible}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What one log says of itself.

    Attributes:
        origin: The log's name.
        size: Entries under the checkpoint.
        root: Root of the tree, hex.
        pruned: Entries at the beginning that say nothing any more.
    """

    origin: str
    size: int
    root: str
    pruned: int


def as_csv(table: Table) -> str:
    """The rows with a head. A cell that a spreadsheet would compute gets an apostrophe in front."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(table.head)
    for row in table.rows:
        writer.writerow([f"'{cell}" if cell.startswith(_FORMULA_STARTS) and cell != "-" else cell for cell in row])
    return text.getvalue()


def as_page(table: Table, *, of: str, sources: Sequence[Source]) -> str:
    """The whole page.

    Args:
        table: The report.
        of: The span in words.
        sources: The logs that it was read from.
    """
    title = _TITLES[table.kind]
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in table.head)
    rows = "\n".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in table.rows)
    read = "".join(f"<li>{escape(_told(each))}</li>" for each in sources)
    return f"""{page_head(title, _STYLE)}
<body>
<h1>{escape(title)}</h1>
<p>{escape(of)}. Read from audit logs that verify; terms of deployments are those configured when the report was made.</p>
<div class="frame" tabindex="0" role="region" aria-label="{escape(title)}">
<table>
<caption>{len(table.rows)} rows</caption>
<thead><tr>{head}</tr></thead>
<tbody>
{rows}
</tbody>
</table>
</div>
<footer><p>Made by <code>freehold audit report</code> from:</p><ul>{read}</ul></footer>
</body>
</html>
"""


def _told(source: Source) -> str:
    pruned = f"; what entries 0 to {source.pruned - 1} said was pruned" if source.pruned else ""
    return f"{source.origin}, {source.size} entries, root {source.root}{pruned}"
