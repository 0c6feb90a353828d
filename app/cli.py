"""The commands, and how one is chosen. Only what the chosen command needs is imported."""

import importlib
from dataclasses import dataclass

from app.arguments import ArgumentParser, one_of


@dataclass(frozen=True)
class Command:
    """A command: the module with its `parse` and `run`, and what it does in a few words."""

    module: str
    summary: str


COMMANDS = {
    "reconstruct": Command("app.reconstruct", "photos to cameras, splats and a mesh"),
    "align": Command("app.align", "turn a finished project upright, and give it real lengths"),
    "clean": Command("app.clean", "take out floaters, or all but a box; every step can be undone"),
    "export": Command("app.export", "write the splats, the mesh or the cameras in another format"),
    "convert": Command("app.convert", "a file of splats or a mesh in another format"),
    "render": Command("app.render", "pictures from given cameras, or a turntable film"),
    "evaluate": Command("app.evaluate", "compare with known cameras; image quality on held-out photos"),
    "benchmark": Command("app.benchmark", "measure the cameras on photo sets with known ones"),
    "doctor": Command("app.doctor", "what this machine can do: GPU, kernels, weights, memory, OpenGL"),
    "gui": Command("app.gui", "the desktop window; `handful` alone opens it too"),
}

EXAMPLES = (
    "handful reconstruct photos/ -o out/room --preset draft",
    "handful render out/room --turntable out/room.mp4",
    "handful export out/room --to glb -o room.glb",
    "handful doctor",
)


def run_command(arguments: list[str]) -> int:
    """Run the command that the arguments name; returns its exit code.

    Raises:
        SystemExit: after `--help` or `--version` (code 0) and for arguments that are wrong (code 2).
    """
    chosen = _parser().parse_args(arguments[:1] or ["gui"])
    module = importlib.import_module(COMMANDS[chosen.command].module)
    exit_code: int = module.run(module.parse(arguments[1:]))
    return exit_code


def _parser() -> ArgumentParser:
    from recon.version import program_version

    width = max(map(len, COMMANDS))
    table = "\n".join(f"  {name:{width}}  {command.summary}" for name, command in COMMANDS.items())
    parser = ArgumentParser(
        "handful",
        description="Photos to cameras, a Gaussian-splat scene and a mesh, offline.\n\n"
        f"commands (each has its own --help):\n{table}",
        examples=EXAMPLES,
    )
    parser.add_argument("--version", action="version", version=f"handful {program_version()}")
    parser.add_argument("command", type=one_of(*COMMANDS), metavar="COMMAND", help="one of the above")
    return parser
