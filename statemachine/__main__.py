"""`python -m statemachine`: draw the machines, list their rules, say why something is refused.

Exit status: 0 done or allowed, 1 refused or a file differs, 2 bad arguments.
"""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NoReturn

from statemachine import MACHINES
from statemachine.export import dot, json, mermaid, sql_check, svg, table
from statemachine.export.edges import joined
from statemachine.spec import Spec, State
from statemachine.texts import LANGS, Lang, Text

AnySpec = Spec[Any, Any, Any]


def _sql(spec: AnySpec, _lang: Lang) -> str:
    return sql_check.sql_check(spec, spec.columns) + "\n"


FORMATS: Final[Mapping[str, Callable[[AnySpec, Lang], str]]] = {
    "mermaid": mermaid.render,
    "dot": dot.render,
    "json": json.render,
    "svg": svg.render,
    "sql": _sql,
}
KEPT: Final = {"mermaid": "mmd", "svg": "svg"}
"""The formats that `--all` keeps, and their suffixes."""
FOLDER: Final = Path("docs/states")
"""Where `--all` keeps them."""

_ALLOWED: Final = Text("允许", "allowed")
_IF: Final = Text("条件", "if")
_REFUSED: Final = Text("拒绝", "refused")


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line; the usage is a `--help` away."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status; argparse itself exits on bad arguments."""
    parser = _arguments()
    args = parser.parse_args(argv)
    try:
        status: int = args.run(parser, args)
    except OSError as problem:
        parser.error(f"{problem.filename}: {problem.strerror}")
    return status


def _arguments() -> _Parser:
    parser = _Parser(prog="python -m statemachine", description="The life cycles of orders and goods.")
    commands = parser.add_subparsers(required=True, metavar="command")

    shared = _Parser(add_help=False)
    shared.add_argument("--machine", choices=MACHINES, default="order", help="which machine (default: order)")
    shared.add_argument("--lang", choices=LANGS, default="zh", help="language of the texts (default: zh)")

    diagram = commands.add_parser("diagram", parents=[shared], help="draw a machine")
    diagram.add_argument("--format", choices=FORMATS, default="mermaid", help="default: mermaid")
    diagram.add_argument("--output", type=Path, metavar="FILE", help="write there instead of standard output")
    diagram.add_argument("--check", type=Path, metavar="FILE", help="write nothing; fail where FILE differs")
    diagram.add_argument(
        "--all",
        nargs="?",
        type=Path,
        const=FOLDER,
        metavar="FOLDER",
        help=f"every machine as Mermaid and SVG, into FOLDER (default: {FOLDER}); with --check FOLDER compare instead",
    )
    diagram.set_defaults(run=_diagram)

    rules = commands.add_parser("table", parents=[shared], help="all rules as a Markdown table")
    rules.set_defaults(run=_table)

    why = commands.add_parser("why", parents=[shared], help="may a role do this, and if not, why")
    why.add_argument("--state", required=True, metavar="NUMBERS", help="for example 2,6")
    why.add_argument("--closed", action="store_true", help="the state of these numbers that is closed (or deleted)")
    why.add_argument("--event", required=True)
    why.add_argument("--role", required=True)
    why.set_defaults(run=_why)
    return parser


def _diagram(parser: _Parser, args: argparse.Namespace) -> int:
    if args.output and (args.check or args.all):
        parser.error("--output goes with neither --check nor --all")
    if args.all:
        folder = args.check or args.all
        wanted = {
            folder / f"{name}.{suffix}": FORMATS[format_](flow.spec, args.lang)
            for name, flow in MACHINES.items()
            for format_, suffix in KEPT.items()
        }
    else:
        target = args.check or args.output
        wanted = {target: FORMATS[args.format](MACHINES[args.machine].spec, args.lang)}
    if args.check:
        again = (
            f"--all {args.check}"
            if args.all
            else f"--machine {args.machine} --format {args.format} --output {args.check}"
        )
        return _compare(wanted, f"python -m statemachine diagram --lang {args.lang} {again}")
    for path, text in wanted.items():
        if path is None:
            sys.stdout.write(text)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode())
    return 0


def _compare(wanted: Mapping[Path, str], again: str) -> int:
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_bytes() != text.encode()]
    for path in stale:
        problem = "differs from the machine" if path.exists() else "does not exist"
        print(f"{path} {problem}; draw it again: {again}", file=sys.stderr)
    return 1 if stale else 0


def _table(_parser: _Parser, args: argparse.Namespace) -> int:
    sys.stdout.write(table.render(MACHINES[args.machine].spec, args.lang))
    return 0


def _why(parser: _Parser, args: argparse.Namespace) -> int:
    flow = MACHINES[args.machine]
    state = _state(parser, flow.spec, args.state, closed=args.closed)
    for kind, given, known in (("event", args.event, flow.spec.events), ("role", args.role, flow.spec.roles)):
        if given not in known:
            parser.error(f"the {args.machine} has no {kind} {given!r} (it has {', '.join(known)})")
    reasons = flow.why_not(state.phase, args.event, args.role)
    if reasons:
        print(f"{_REFUSED.to(args.lang)}: {joined((reason.to(args.lang) for reason in reasons), args.lang)}")
        return 1
    rule = next(r for r in flow.spec.rules_from(state.phase) if r.event == args.event and args.role in r.by)
    answer = f"{_ALLOWED.to(args.lang)}: ({state.key}) → ({flow.spec.state(rule.target).key})"
    if rule.guards:
        conditions = joined((guard.condition.to(args.lang) for guard in rule.guards), args.lang)
        answer += f"; {_IF.to(args.lang)}: {conditions}"
    print(answer)
    return 0


def _state(parser: _Parser, spec: AnySpec, text: str, *, closed: bool) -> State[Any]:
    wanted = text.replace(" ", "")
    for state in spec.states:
        names = {state.key, state.key.rpartition(",")[0]} if closed else {state.key}
        if wanted in names and (state.closed or not closed):
            return state
    known = " ".join(state.key for state in spec.states)
    return parser.error(f"the {spec.name} has no {'closed ' if closed else ''}state {text!r} (it has {known})")


if __name__ == "__main__":
    sys.exit(main())
