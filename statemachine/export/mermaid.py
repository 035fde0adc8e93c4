"""A machine as a Mermaid state diagram, which GitHub and GitLab draw by themselves."""

from collections.abc import Iterable, Iterator
from typing import Final

from statemachine.export.edges import Line, creation, edges, label, told
from statemachine.path import Path, Trace, trace
from statemachine.spec import E, F, P, Spec, State
from statemachine.texts import Lang

_BREAK: Final = "<br/>"
_SPACING: Final = ("---", "config:", "  state:", "    nodeSpacing: 120", "    rankSpacing: 80", "---")
"""Closer together, Mermaid lets the labels of an arrow and its way back cover each other."""
_STYLES: Final = {
    "present": "fill:#a61e4d,stroke:#a61e4d,color:#fff,font-weight:bold",
    "passed": "fill:#fff0f6,stroke:#a61e4d,stroke-width:2px",
    "aside": "fill:#fff,stroke:#ced4da,color:#868e96",
}
_STAYS: Final = "↻ "
_WIDE: Final = 24
"""Mermaid wraps a label at 200 pixels, wherever that is; so many half-width characters still fit."""


def render(spec: Spec[P, E, F], lang: Lang, *, path: Path[P] | None = None) -> str:
    """`spec` as `stateDiagram-v2`, top to bottom, with start and end markers; ↻ marks what leaves a state as it is.

    With `path` its steps are numbered, the states that it passed stand out and the present one most; Mermaid has no
    styles for arrows. Raises as `statemachine.path.trace`.
    """
    taken = None if path is None else trace(spec, path)
    lines = [*_SPACING, "stateDiagram-v2", "    direction TB"]
    if path is not None:
        lines += [f"    accTitle: {spec.noun.to(lang)}", f"    accDescr: {told(spec, lang, path)}"]
    lines.append("")
    arrows = edges(spec, lang, taken)
    # Mermaid lets an arrow from a state to itself cover its neighbours: what stays there is written in the box.
    loops = {edge.source.key: _joined(edge.lines, lang, _STAYS) for edge in arrows if edge.source is edge.target}
    for state in spec.states:
        text = _BREAK.join([*label(state, lang), *([loops[state.key]] if state.key in loops else [])])
        lines.append(f'    state "{text}" as {_name(state)}')
    lines += ["", f"    [*] --> {_name(spec.state(spec.start))} : {creation(spec, lang, taken).text(lang)}"]
    lines += [
        f"    {_name(edge.source)} --> {_name(edge.target)} : {_joined(edge.lines, lang)}"
        for edge in arrows
        if edge.source is not edge.target
    ]
    closed = [_name(state) for state in spec.states if state.closed]
    lines += [f"    {name} --> [*]" for name in closed]
    lines += ["", "    classDef closed fill:#f1f3f5,stroke:#868e96", f"    class {','.join(closed)} closed"]
    if taken:
        lines += _marked(spec, taken)
    return "\n".join(lines) + "\n"


def _marked(spec: Spec[P, E, F], taken: Trace[P]) -> Iterator[str]:
    passed = taken.visited - {taken.present}
    groups = {
        "present": [state for state in spec.states if state.phase == taken.present],
        "passed": [state for state in spec.states if state.phase in passed],
        "aside": [state for state in spec.states if state.phase not in taken.visited],
    }
    for name, members in groups.items():
        if members:
            yield f"    classDef {name} {_STYLES[name]}"
            yield f"    class {','.join(map(_name, members))} {name}"


def _name(state: State[P]) -> str:
    return "s_" + state.key.replace(",", "_")


def _joined(lines: Iterable[Line], lang: Lang, before: str = "") -> str:
    return _BREAK.join(_broken(before + line.text(lang)) for line in lines)


def _broken(line: str) -> str:
    width = sum(2 if ord(character) > 0x2E7F else 1 for character in line)
    return line if width <= _WIDE else line.replace(" · ", f"{_BREAK}· ")
