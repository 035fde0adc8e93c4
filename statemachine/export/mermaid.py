"""A machine as a Mermaid state diagram, which GitHub and GitLab draw by themselves."""

from typing import Final

from statemachine.export.edges import creation, edges, label
from statemachine.spec import E, F, P, Spec, State
from statemachine.texts import Lang

_BREAK: Final = "<br/>"
_SPACING: Final = ("---", "config:", "  state:", "    nodeSpacing: 110", "    rankSpacing: 60", "---")
"""Closer together, Mermaid lets the labels of an arrow and its way back cover each other."""
_WIDE: Final = 24
"""Mermaid wraps a label at 200 pixels, wherever that is; so many half-width characters still fit."""


def render(spec: Spec[P, E, F], lang: Lang) -> str:
    """``spec`` as ``stateDiagram-v2``, top to bottom, with start and end markers."""
    lines = [*_SPACING, "stateDiagram-v2", "    direction TB", ""]
    lines += [f'    state "{_BREAK.join(label(state, lang))}" as {_name(state)}' for state in spec.states]
    lines += ["", f"    [*] --> {_name(spec.state(spec.start))} : {creation(spec, lang).text(lang)}"]
    for edge in edges(spec, lang):
        text = _BREAK.join(_broken(line.text(lang)) for line in edge.lines)
        lines.append(f"    {_name(edge.source)} --> {_name(edge.target)} : {text}")
    closed = [_name(state) for state in spec.states if state.closed]
    lines += [f"    {name} --> [*]" for name in closed]
    lines += ["", "    classDef closed fill:#f1f3f5,stroke:#868e96", f"    class {','.join(closed)} closed"]
    return "\n".join(lines) + "\n"


def _name(state: State[P]) -> str:
    return "s_" + state.key.replace(",", "_")


def _broken(line: str) -> str:
    width = sum(2 if ord(character) > 0x2E7F else 1 for character in line)
    return line if width <= _WIDE else line.replace(" · ", f"{_BREAK}· ")
