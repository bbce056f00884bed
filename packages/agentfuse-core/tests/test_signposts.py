"""The signposts in core lead to the siblings, or say what to install."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

SIBLINGS = {
    "crewai": "agentfuse-crewai",
    "langchain": "agentfuse-langchain",
    "llama_index": "agentfuse-llama-index",
    "openai_agents": "agentfuse-openai-agents",
}


@pytest.fixture(params=SIBLINGS)
def signpost(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A signpost that nobody has read yet."""
    if find_spec(f"agentfuse_{request.param}") is not None:
        pytest.skip("the sibling itself is installed here")
    name = f"agentfuse.integrations.{request.param}"
    monkeypatch.delitem(sys.modules, name, raising=False)
    return name


def sibling_of(signpost: str) -> str:
    return f"agentfuse_{signpost.rpartition('.')[2]}"


def test_where_nothing_is_installed_it_says_what_to_install(signpost: str) -> None:
    distribution = SIBLINGS[signpost.rpartition(".")[2]]
    with pytest.raises(ImportError, match=f"pip install {distribution}"):
        import_module(signpost)


def test_what_a_sibling_exports_is_shown(
    signpost: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package stands in for the sibling, which core's own environment does not have."""
    package = tmp_path / f"{sibling_of(signpost)}.py"
    package.write_text("__all__ = ['Shown']\nclass Shown: ...\nclass Hidden: ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, sibling_of(signpost), raising=False)
    found = import_module(signpost)
    assert found.__all__ == ["Shown"]
    assert found.Shown is import_module(sibling_of(signpost)).Shown
    assert not hasattr(found, "Hidden")
    del sys.modules[signpost], sys.modules[sibling_of(signpost)]


def test_a_part_that_a_sibling_lacks_is_named(
    signpost: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / f"{sibling_of(signpost)}.py"
    package.write_text("import a_framework_of_tomorrow\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="a_framework_of_tomorrow"):
        import_module(signpost)
