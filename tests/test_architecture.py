"""Promises of ARCHITECTURE.md: imports go one way, systems never import each other, importing stays light."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "sixfold"
BASE = {"axes", "errors", "files", "locks", "units", "__init__"}
MAY_IMPORT = {
    **dict.fromkeys(BASE, BASE),
    "design": BASE,
    "lab": BASE | {"design"},
    "study": BASE | {"design", "lab"},
    "parts": BASE | {"design", "lab", "study"},
    "systems": BASE | {"design", "lab", "study", "parts"},
    "report": BASE | {"design", "lab", "study"},
    "web": BASE,  # static files
    "progress": BASE | {"study"},
    "cli_balance": BASE | {"design", "lab", "study", "systems", "report"},
    "cli_design": BASE | {"design", "lab", "study", "report"},
    "cli": BASE | {"design", "lab", "study", "systems", "report", "progress", "cli_balance", "cli_design"},
    "__main__": {"cli"},
}


def layer(parts: tuple[str, ...]) -> str:
    """The top-level package or module of a path below src/sixfold."""
    return parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Every sixfold module that a file imports, anywhere in it, as (line, parts below sixfold)."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import"
            names = [node.module or ""]
            if node.module == "sixfold":
                names = [f"sixfold.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            first, *rest = name.split(".")
            if first == "sixfold" and rest and not rest[0].startswith("__version"):
                yield node.lineno, tuple(rest)


def test_imports_go_one_way_and_systems_never_import_each_other() -> None:
    wrong = []
    for path in sorted(SOURCE.rglob("*.py")):
        inside = path.relative_to(SOURCE).parts
        own = layer(inside)
        for line, target in imports(path):
            allowed = MAY_IMPORT[own] | {own}
            other_system = own == target[0] == "systems" and len(inside) > 2 and target[1:2] != inside[1:2]
            if target[0] not in allowed or other_system:
                wrong.append(f"{path.relative_to(SOURCE)}:{line} imports {'.'.join(target)}")
    assert not wrong, "\n".join(wrong)


def test_every_package_has_its_layer() -> None:
    found = {
        layer((path.name,)) for path in SOURCE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert found == MAY_IMPORT.keys()


@pytest.mark.parametrize("module", ["sixfold", "sixfold.cli", "sixfold.systems", "sixfold.report"])
def test_importing_loads_no_engine_no_model_library_and_no_network(module: str, tmp_path: Path) -> None:
    heavy = ("ray", "torch", "faiss", "matplotlib", "tokenizers", "aiohttp")
    code = f"import sys, {module}; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.strip() == "[]"
