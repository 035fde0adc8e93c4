"""Reading the tables that benchmarks print."""


def cells(printed: str) -> list[list[str]]:
    """The cells of each row of numbers, without the borders and the header."""
    return [
        [cell.strip() for cell in line.strip().removeprefix("│").removesuffix("│").split("│")]
        for line in printed.splitlines()
        if "│" in line
    ]
