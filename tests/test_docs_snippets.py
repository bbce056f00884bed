"""Every Python block of the documentation runs, as written, against a local provider."""

from __future__ import annotations

from pathlib import Path

import pytest
from snippets import run_page

ROOT = Path(__file__).parents[1]
PAGES = {
    str(page.relative_to(ROOT)): page
    for page in (*sorted(ROOT.glob("docs/**/*.md")), *sorted(ROOT.glob("packages/*/README.md")))
}


# LlamaIndex's workflows read attributes of pydantic's that are on their way out; CrewAI warns of
# own fields and imports, and never closes its clients.
@pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecationWarning")
@pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning")
@pytest.mark.filterwarnings("ignore::ImportWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.timeout(180)
@pytest.mark.usefixtures("simulated_providers")
@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES.keys())
def test_a_page_does_what_it_shows(page: Path) -> None:
    text = page.read_text("utf-8")
    assert run_page(page) + text.count("<!-- not run:") == text.count("```python")
