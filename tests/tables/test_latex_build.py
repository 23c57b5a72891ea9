"""All tables as one LaTeX document: it builds, and nothing sticks out of the page."""

import shutil
import subprocess

import pytest

from madi.tables import write

TEX = shutil.which("pdflatex")


@pytest.mark.skipif(TEX is None, reason="no pdflatex: `make tools` installs a small TeX")
def test_the_document_of_all_tables_builds_without_a_complaint(made, tmp_path):
    write.write_tables(tmp_path, made.cells, made.source.bars, made.source.spec)
    command = [TEX, "-interaction=nonstopmode", "-halt-on-error", "tables.tex"]
    built = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert built.returncode == 0, built.stdout[-2000:]
    assert "Overfull" not in built.stdout and "Undefined" not in built.stdout
    assert (tmp_path / "tables.pdf").stat().st_size > 20_000


def test_every_table_is_in_the_document(made):
    texts = write.texts(made.cells, made.source.bars, made.source.spec)
    for name in made.source.spec.tables:
        assert rf"\input{{table_{name}}}" in texts["tables.tex"] and f"table_{name}.tex" in texts
