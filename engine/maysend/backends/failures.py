"""What DuckDB says of broken data, as one line that starts with the file."""

from __future__ import annotations

import re

_CELLS = re.compile(r"Expected Number of Columns: (\d+) Found: (\d+)")
_VALUE = re.compile(r"Error when converting column \"(.+?)\"\. Could not convert string \"(.*)\" to '(.+?)'")
_DECLARED = {
    "BIGINT": "integer",
    "DOUBLE": "number",
    "TIMESTAMP WITH TIME ZONE": "instant",
    "VARCHAR[]": "list of text",
    "BIGINT[]": "list of integer",
    "DOUBLE[]": "list of number",
}
_CUT_OFF = "{}: is not a whole Parquet file; was it cut off?"
_NOT_PARQUET = (
    "{}: is not a Parquet file; others are read by their endings: "
    ".csv, .csv.gz, .tsv, .json, .jsonl, .ndjson, .json.gz, .sql"
)
_FILES = (
    (r"No magic bytes found at end of file ['\"](.+?\.parquet)['\"]", _CUT_OFF),
    (r"File ['\"](.+?\.parquet)['\"] too small to be a Parquet file", _CUT_OFF),
    (r"No magic bytes found at end of file ['\"](.+?)['\"]", _NOT_PARQUET),
    (r"File ['\"](.+?)['\"] too small to be a Parquet file", _NOT_PARQUET),
    (r'Malformed JSON in file "(.+?)", at byte \d+ in [a-z/]+ (\d+): (.+)', "{}:{}: is not JSON: {}"),
    (r"Failed to read file \"(.+?)\": (.+)", "{}: is broken: {}"),
)
_MEMORY = re.compile(r"^Out of Memory Error: .*?(?:/([0-9.]+ [A-Za-z]+) used\)|$)", re.MULTILINE)


def line(text: str) -> str:
    """DuckDB's message as one line: file, place and reason, without advice on its settings or anybody's whole row."""
    if found := re.search(r"CSV Error on Line: (\d+)", text):
        file = re.search(r"^ *file = (.+)$", text, re.MULTILINE)
        return f"{file[1] if file else 'a CSV file'}:{found[1]}: {_of_csv(text)}"
    if found := _MEMORY.search(text):
        return f"{found[1] or 'What there is'} of memory is too little for this run; --memory gives it more"
    for pattern, said in _FILES:
        if found := re.search(pattern, text):
            return " ".join(said.format(*found.groups()).split())
    first = re.split(r"\n\s*\n|\nPossible|\nCandidate|\nLINE \d|\",\"errno\"", text.strip())[0]
    return " ".join(re.sub(r"^[A-Z][A-Za-z-]*(?: [A-Z][a-z]+)* Error: ", "", first).split())


def converted_column(text: str) -> str | None:
    """The column that holds a value which its declared type does not have; None where something else went wrong."""
    found = re.search(r"when casting from source column (.+)", text)
    return found[1].strip() if found else None


def _of_csv(text: str) -> str:
    if found := _VALUE.search(text):
        column, value, type_ = found.groups()
        return f'column "{column}" is declared {_DECLARED.get(type_, type_.lower())}, and "{value}" is not'
    if found := _CELLS.search(text):
        return f"has {found[2]} cells where the header has {found[1]}"
    if "unterminated quote" in text:
        return "a value starts with a quote that never ends"
    return "is not UTF-8 text; save it as UTF-8" if "Invalid unicode" in text else "is not CSV"
