"""A machine as a Mermaid state diagram, which GitHub and GitLab draw by themselves."""

from statemachine.export.edges import creation, edges
from statemachine.spec import E, F, P, Spec, State
from statemachine.texts import Lang

_BREAK = "<br/>"


def render(spec: Spec[P, E, F], lang: Lang) -> str:
    """``spec`` as ``stateDiagram-v2``, top to bottom, with start and end markers."""
    lines = ["stateDiagram-v2", "    direction TB", ""]
    for state in spec.states:
        label = _BREAK.join(line.to(lang) for line in state.lines)
        lines.append(f'    state "{label}" as {_name(state)}')
    lines += ["", f"    [*] --> {_name(spec.state(spec.start))} : {creation(spec, lang).text(lang)}"]
    for edge in edges(spec, lang):
        label = _BREAK.join(line.text(lang) for line in edge.lines)
        lines.append(f"    {_name(edge.source)} --> {_name(edge.target)} : {label}")
    closed = [_name(state) for state in spec.states if state.closed]
    lines += [f"    {name} --> [*]" for name in closed]
    lines += ["", "    classDef closed fill:#f1f3f5,stroke:#868e96", f"    class {','.join(closed)} closed"]
    return "\n".join(lines) + "\n"


def _name(state: State[P]) -> str:
    return "s_" + state.key.replace(",", "_")
