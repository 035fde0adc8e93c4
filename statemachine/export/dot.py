"""A machine as a Graphviz digraph."""

from collections.abc import Iterable

from statemachine.export.edges import creation, edges, label
from statemachine.spec import E, F, P, Spec
from statemachine.texts import Lang


def render(spec: Spec[P, E, F], lang: Lang) -> str:
    """`spec` as DOT, top to bottom; closed states have a double border, a dot marks the start."""
    lines = [
        f"digraph {spec.name} {{",
        "    rankdir=TB;",
        '    graph [fontname="Noto Sans CJK SC", nodesep=0.5, ranksep=0.5];',
        '    node [fontname="Noto Sans CJK SC", shape=box, style=rounded];',
        '    edge [fontname="Noto Sans CJK SC", fontsize=11];',
        "",
        '    start [shape=circle, style=filled, fillcolor=black, label="", width=0.2];',
    ]
    for state in spec.states:
        closed = ", peripheries=2" if state.closed else ""
        lines.append(f"    {_quoted(state.key)} [label={_label(label(state, lang))}{closed}];")
    begin = spec.state(spec.start).key
    lines += ["", f"    start -> {_quoted(begin)} [label={_label([creation(spec, lang).text(lang)])}];"]
    for edge in edges(spec, lang):
        text = _label(line.text(lang) for line in edge.lines)
        lines.append(f"    {_quoted(edge.source.key)} -> {_quoted(edge.target.key)} [label={text}];")
    lines.append("}")
    return "\n".join(lines) + "\n"


def _label(lines: Iterable[str]) -> str:
    return '"' + "\\n".join(_escaped(line) for line in lines) + '"'


def _quoted(text: str) -> str:
    return f'"{_escaped(text)}"'


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
