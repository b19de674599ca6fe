"""Rows of Markdown tables."""


def row(*cells: object) -> str:
    return f"| {' | '.join(str(cell).replace('|', chr(92) + '|') for cell in cells)} |"


def rule(columns: int) -> str:
    return row(*["---"] * columns)
