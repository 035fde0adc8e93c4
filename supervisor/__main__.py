"""`python -m supervisor …`: what the Makefile's targets `run`, `test`, `shell` and `reset-data` call."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence

from . import children, product
from .engines import Engine
from .errors import StartError
from .heartbeats import Heartbeats
from .options import PROJECT, Options, read_options
from .processes import DEFAULT_POLICY, Supervisor

_STILL_WAITING_SECONDS = 20.0


def run(options: Options) -> int:
    """Start engines and processes under the instance folder and keep them until asked to stop."""
    options.refuse_open_addresses()
    with product.only_one(options.instance):
        options.refuse_taken_ports()
        product.forget_earlier_runs(options)
        product.close_private_folders(options)
        wanted = product.engines(options, options.instance)
        with _supervisor(options, wanted) as supervisor, product.running(wanted) as urls:
            supervisor.env = product.process_environment(options, urls, supervisor.env)
            for engine in wanted.values():
                supervisor.say(f"{engine.title} is up, process {engine.pid}, data in {engine.data}")
            status = _prepare_and_serve(supervisor, options, wanted)
            supervisor.say("processes ended, stopping the engines" if wanted else "processes ended")
        print("ended cleanly" if status == 0 else "ended", flush=True)
        return status


def _prepare_and_serve(supervisor: Supervisor, options: Options, wanted: Mapping[str, Engine]) -> int:
    for step in product.preparations(options):
        status = supervisor.run_once(step)
        if supervisor.stopping:
            return 0
        if status != 0:
            supervisor.say(f"{step.name} failed with status {status}; nothing is started")
            return 1
    return supervisor.run(product.process_table(options), _Watch(supervisor, options, wanted).look)


def run_engines(options: Options) -> int:
    """Only the engines, in the foreground, with the lines to paste into another shell."""
    with product.only_one(options.instance):
        wanted = product.engines(options, options.instance)
        with _supervisor(options, wanted) as supervisor, product.running(wanted) as urls:
            for variable, url in urls.items():
                print(f"export {variable}='{url}'", flush=True)
            print(f"export SALTFISH_ENV='{options.environment}'", flush=True)
            return supervisor.run((), _Watch(supervisor, options, wanted).look_after_engines)


def run_with_engines(options: Options, command: Sequence[str]) -> int:
    """Run a command with engines of its own that are gone afterwards; its exit status."""
    if options.database_url and options.redis_url:
        return _run_command(command, {})
    with product.temporary_engines(options) as urls:
        return _run_command(command, urls)


def run_inside(options: Options, command: Sequence[str]) -> int:
    """Run a command in the environment of `run`, beside a running one or with its engines started meanwhile."""
    wanted = product.engines(options, options.instance)
    if product.is_running(options.instance):
        urls = {variable: engine.url for variable, engine in wanted.items()}
        return _run_command(command, product.process_environment(options, urls, {}))
    with product.only_one(options.instance), product.running(wanted) as urls:
        env = product.process_environment(options, urls, {})
        for step in product.preparations(options):
            if (status := _run_command(step.command, env)) != 0:
                return status
        return _run_command(command, env)


def run_unprepared(options: Options, command: Sequence[str]) -> int:
    """As `exec`, but alone, and without preparing the database: what is restored needs an empty one."""
    wanted = product.engines(options, options.instance)
    with product.only_one(options.instance), product.running(wanted) as urls:
        return _run_command(command, product.process_environment(options, urls, {}))


def reset_data(options: Options) -> int:
    """Delete the data under the instance folder: database, queues, pictures, search index, keys."""
    with product.only_one(options.instance):
        for engine in product.engines(options, options.instance).values():
            engine.delete()
        # By name: INSTANCE_PATH may be a folder that holds more than ours.
        for name in product.INSTANCE_FOLDERS:
            shutil.rmtree(options.instance / name, ignore_errors=True)
        (options.instance / "supervisor.lock").unlink()
    if not any(options.instance.iterdir()):
        options.instance.rmdir()
    print(f"deleted the data in {options.instance}")
    return 0


class _Watch:
    """Called on each turn of the supervisor's loop: restarts engines that ended, says when the product is ready."""

    def __init__(self, supervisor: Supervisor, options: Options, engines: Mapping[str, Engine]) -> None:
        self.supervisor = supervisor
        self.options = options
        self.engines = list(engines.values())
        self.started = dict.fromkeys(self.engines, time.monotonic())
        self.quick_ends = dict.fromkeys(self.engines, 0)
        self.heartbeats = Heartbeats(
            product.heartbeat_folder(options),
            limit=float(options.web_heartbeat_limit),
            parents=lambda: supervisor.process_ids(product.WEB),
            say=supervisor.say,
        )
        self.ready = False
        self.next_complaint = time.monotonic() + _STILL_WAITING_SECONDS

    def look(self) -> None:
        """Check the engines, the web processes and, until the product has been ready once, its readiness."""
        self.look_after_engines()
        self.heartbeats.look()
        if not self.ready:
            self._look_for_readiness()

    def look_after_engines(self) -> None:
        """Start engines again that ended by themselves. Raises `StartError` for one that keeps ending soon after."""
        for engine in self.engines:
            status = engine.exited()
            if status is None or self.supervisor.stopping:
                continue
            quick = time.monotonic() - self.started[engine] < DEFAULT_POLICY.quick
            self.quick_ends[engine] = self.quick_ends[engine] + 1 if quick else 0
            if self.quick_ends[engine] >= DEFAULT_POLICY.attempts:
                raise StartError(f"{engine.title} ended with status {status}; its log ends:\n{engine.last_lines()}")
            self.supervisor.say(f"{engine.title} ended with status {status}; starting it again (log: {engine.log})")
            engine.stop()
            engine.start()
            self.started[engine] = time.monotonic()

    def _look_for_readiness(self) -> None:
        status, said = product.readiness(self.options)
        if status == 200:
            self.ready = True
            self.supervisor.say(_welcome(self.options))
        elif time.monotonic() > self.next_complaint:
            self.next_complaint = time.monotonic() + _STILL_WAITING_SECONDS
            self.supervisor.say(f"not ready yet: {said[:500] if status else 'the web server is still starting'}")


def _welcome(options: Options) -> str:
    addresses = [
        ("API base", options.base_url),
        ("docs", f"{options.base_url}/docs/"),
        ("order states", f"{options.base_url}/docs/states/"),
        ("health", f"{options.base_url}/readyz"),
    ]
    if options.runs_sandbox:
        addresses.append(("sandbox gateway", f"{options.sandbox_url}/gateway.do"))
    lines = ["", "Saltfish is ready.", *(f"  {what:<16} {url}" for what, url in addresses)]
    if options.environment == "development":
        from app.seed import DEMO_LOGINS  # here, so that other commands do not pay for the import

        lines += ["  demo logins:", *(f"    {name:<14} {password}   {role}" for name, password, role in DEMO_LOGINS)]
        if options.open_to_others:
            lines.append(f"  WARNING: {options.open_to_others} lets other machines in, with these public passwords.")
    return "\n".join([*lines, "  Ctrl-C ends everything.", ""])


def _supervisor(options: Options, engines: Mapping[str, Engine]) -> Supervisor:
    supervisor = Supervisor(marker=str(options.instance), env=os.environ)
    supervisor.on_kill += [engine.kill for engine in engines.values()]
    return supervisor


def _run_command(command: Sequence[str], env: Mapping[str, str]) -> int:
    """Run a command in the foreground, pass signals on, and return its status as a shell would."""
    try:
        process = children.spawn(command, env={**os.environ, **env}, own_session=False)
    except OSError as error:
        raise StartError(f"cannot start {command[0]}: {error.strerror}") from error
    # The terminal sends Ctrl-C to the command as well; we ignore it and wait for the command to end.
    previous = {signal.SIGINT: signal.signal(signal.SIGINT, lambda *_: None)}
    for number in (signal.SIGTERM, signal.SIGHUP):
        previous[number] = signal.signal(number, lambda received, _: process.send_signal(received))
    try:
        status = process.wait()
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    return 128 - status if status < 0 else status


_PLAIN: dict[str, Callable[[Options], int]] = {"run": run, "engines": run_engines, "reset-data": reset_data}
_WRAPPING: dict[str, Callable[[Options, Sequence[str]], int]] = {
    "with-engines": run_with_engines,
    "exec": run_inside,
    "exec-unprepared": run_unprepared,
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m supervisor", description=__doc__)
    commands = parser.add_subparsers(required=True, dest="name", metavar="COMMAND")
    for name, action in {**_PLAIN, **_WRAPPING}.items():
        usage = "%(prog)s" if name in _PLAIN else "%(prog)s -- COMMAND [ARGUMENT …]"
        commands.add_parser(name, help=action.__doc__, description=action.__doc__, usage=usage)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    # Split before argparse sees it: options behind -- belong to the command.
    border = words.index("--") if "--" in words else len(words)
    command = words[border + 1 :]
    parser = _parser()
    name = parser.parse_args(words[:border]).name
    if bool(command) != (name in _WRAPPING):
        parser.error(f"{name} takes {'a command after --' if name in _WRAPPING else 'no command'}")
    os.chdir(PROJECT)
    try:
        options = read_options(os.environ)
        return _WRAPPING[name](options, command) if name in _WRAPPING else _PLAIN[name](options)
    except StartError as error:
        print(f"saltfish: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
