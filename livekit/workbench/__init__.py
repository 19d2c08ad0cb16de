"""The faces room: what a person sees of a run.

==============  ==================================================================================
`series`        prices, indicators and curves brought on the basis that a chart shows
`charts`        plotly figures from values
`tables`        HTML and plain-text tables from values, untrusted text always as text
`show`          what a notebook cell calls: tables and figures of one part of the day
`run`           one notebook run by papermill, its parameters checked before a kernel starts
`page`          an executed notebook as one offline HTML page
`archive`       notebook and page put away for good, with their hashes
`index`         the archive's front page
==============  ==================================================================================

Nothing here decides anything about trading. Values come in, text and files go out, and every text
that came from outside the program (company names, reasons, broker messages) is escaped on the way.
"""

import sys

# jsonschema, which nbformat imports, compiles a grammar of internationalised addresses as soon as
# this module exists. No schema of ours has such an address, and compiling takes over a second.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
