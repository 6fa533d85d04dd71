"""The import rules of CONTRIBUTING, checked on the source of every module."""

import ast
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "ibn_seg"

CORE = {
    "errors", "environment", "io", "provenance", "config", "config_values", "progress",
    "type_names",
}  # fmt: skip
MM = {"mmengine", "mmcv", "mmseg"}
PICTURES = {"numpy", "cv2", "PIL"}


@dataclass(frozen=True)
class Rule:
    """What a part of the package may import.

    Attributes:
        own: Other parts of ibn_seg.
        loaded: Packages that it may load when it is imported.
        inside: Packages that it may load later, inside a function, in addition.
    """

    own: set[str]
    loaded: set[str]
    inside: set[str] = frozenset()


RULES = {
    "ibn_seg": Rule(set(), set()),
    "ibn_seg.__main__": Rule({"cli"}, set()),
    "ibn_seg.errors": Rule(set(), set()),
    "ibn_seg.environment": Rule({"errors"}, set()),
    "ibn_seg.io": Rule({"errors", "checkpoint_files", "harmless_classes"}, set(), {"torch"}),
    "ibn_seg.checkpoint_files": Rule({"errors"}, set()),
    "ibn_seg.harmless_classes": Rule({"pickled_arrays"}, set(), {"mmengine"}),
    "ibn_seg.pickled_arrays": Rule(set(), {"numpy"}),
    "ibn_seg.provenance": Rule({"errors"}, set()),
    "ibn_seg.heap": Rule(set(), set()),
    "ibn_seg.type_names": Rule(set(), set()),
    "ibn_seg.config_errors": Rule({"errors"}, set()),
    "ibn_seg.config_values": Rule({"errors"}, set(), {"mmengine"}),
    "ibn_seg.config": Rule({"errors", "config_errors", "config_values"}, set(), {"mmengine"}),
    "ibn_seg.progress": Rule(set(), set(), {"rich"}),
    "ibn_seg.layers.triton_kernels": Rule(set(), {"triton"}),
    "ibn_seg.layers.triton_passes": Rule({"layers"}, {"torch", "triton"}),
    "ibn_seg.layers": Rule({"errors", "io"}, {"torch", "numpy"}),
    "ibn_seg.models": Rule(
        {"errors", "io", "harmless_classes", "progress", "layers"}, {"torch", "numpy"}
    ),
    "ibn_seg.surgery": Rule({"errors", "layers", "models"}, {"torch", "numpy"}),
    "ibn_seg.datasets.subset": Rule({"errors"}, set()),
    "ibn_seg.datasets.labels": Rule({"errors"}, {"numpy"}),
    "ibn_seg.datasets.catalog": Rule({"errors"}, set()),
    "ibn_seg.datasets.targets": Rule({"errors", "provenance"}, set()),
    "ibn_seg.datasets.listing": Rule({"errors"}, set()),
    "ibn_seg.datasets.cache": Rule({"errors", "io"}, {"numpy"}, {"zstandard"}),
    "ibn_seg.datasets": Rule(CORE, MM | PICTURES | {"torch"}),
    "ibn_seg.transforms.corruptions": Rule(
        {"errors", "imagenet.appearance"}, {"numpy", "cv2", "torch"}
    ),
    "ibn_seg.transforms": Rule(
        CORE | {"datasets", "evaluation.protocols"}, MM | PICTURES | {"torch"}
    ),
    "ibn_seg.evaluation.protocols": Rule({"errors", "datasets.labels"}, set()),
    "ibn_seg.evaluation.confusion": Rule({"errors"}, {"numpy"}, {"torch"}),
    "ibn_seg.evaluation.stored": Rule({"errors", "io"}, {"numpy"}),
    "ibn_seg.evaluation.divergence": Rule({"errors"}, {"numpy"}),
    "ibn_seg.evaluation": Rule(CORE | {"datasets"}, MM | {"torch", "numpy", "prettytable"}),
    "ibn_seg.statistics": Rule(
        {"errors", "evaluation.confusion", "evaluation.stored"}, {"numpy"}, {"scipy"}
    ),
    "ibn_seg.plugins.checkpoint_names": Rule({"errors", "models.published"}, {"mmengine"}),
    "ibn_seg.plugins.layer_configs": Rule({"errors", "models"}, {"mmengine", "mmcv", "torch"}),
    "ibn_seg.plugins.mmengine": Rule(
        CORE | {"layers", "models", "plugins.checkpoint_names", "plugins.layer_configs"},
        {"mmengine", "torch"},
    ),
    "ibn_seg.plugins.timm": Rule({"errors", "models"}, {"timm", "torch"}),
    "ibn_seg.plugins.smp": Rule({"errors", "models"}, {"segmentation_models_pytorch", "torch"}),
    "ibn_seg.plugins": Rule(
        CORE | {"layers", "models", "datasets", "transforms", "evaluation", "engine"},
        MM | {"torch", "numpy"},
    ),
    "ibn_seg.swap": Rule(
        {"errors", "models", "plugins.checkpoint_names", "plugins.mmengine", "type_names"},
        {"mmengine", "torch"},
    ),
    "ibn_seg.benchmark.lease": Rule({"errors", "io"}, set()),
    "ibn_seg.benchmark.plan_values": Rule({"errors"}, set(), {"yaml"}),
    "ibn_seg.benchmark": Rule(CORE | {"evaluation.protocols", "datasets.targets"}, set()),
    "ibn_seg.engine": Rule(
        CORE
        | {"benchmark.identity", "benchmark.lease", "harmless_classes", "layers", "models"}
        | {"plugins", "datasets", "transforms", "evaluation"},
        MM | PICTURES | {"torch", "rich"},
    ),
    "ibn_seg.imagenet.recipe": Rule({"errors"}, set()),
    "ibn_seg.imagenet.config": Rule({"errors", "models.specs", "imagenet.recipe"}, set()),
    "ibn_seg.imagenet": Rule(
        {"errors", "models"}, {"mmengine", "torch", "PIL"}, {"torchvision"}
    ),
    "ibn_seg.scenes": Rule({"errors", "io", "datasets.labels"}, PICTURES),
    "ibn_seg.report.leaderboard": Rule(
        {"errors", "io", "provenance", "datasets.labels", "datasets.targets", "statistics",
         "evaluation.confusion", "evaluation.stored", "report"},
        {"numpy", "markupsafe"},
    ),
    "ibn_seg.report": Rule(
        {"errors", "io", "provenance", "datasets.labels", "datasets.targets",
         "evaluation.confusion", "evaluation.stored", "statistics.summary"},
        PICTURES | {"matplotlib", "jinja2", "markupsafe"},
        {"rich", "yaml"},
    ),
    "ibn_seg.tasks.exportable": Rule(
        {"errors", "io", "models", "datasets.labels", "surgery.running", "tasks.preprocessing",
         "tasks.setup", "tasks.trained_classes"},
        {"torch"},
        {"mmengine"},
    ),
    "ibn_seg.tasks.windows": Rule({"heap"}, {"mmseg", "torch", "numpy"}),
    "ibn_seg.tasks.data.files": Rule(
        {"errors", "datasets.labels", "datasets.formats", "datasets.orientation"}, PICTURES
    ),
    "ibn_seg.tasks": Rule(
        CORE | {"layers", "models", "surgery", "datasets", "transforms", "evaluation", "plugins",
                "engine", "scenes", "report", "statistics", "swap", "imagenet", "benchmark"},
        PICTURES,
        MM | {"torch", "rich", "onnxruntime"},
    ),
    "ibn_seg.cli": Rule(
        CORE
        | {"heap", "models", "datasets.labels", "scenes", "report", "tasks", "imagenet"}
        | {"benchmark"},
        {"click", "rich"},
        {"mmengine", "torch"},
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Import:
    """One imported name: `module`, where it stands, and whether importing the file runs it."""

    module: str
    line: int
    loaded: bool


def modules() -> dict[str, ast.Module]:
    """Parse every module of the package."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = ast.parse(path.read_text(encoding="utf-8"), str(path))
    return found


MODULES = modules()


def imports(tree: ast.AST, loaded: bool = True) -> list[Import]:
    """List the imports of a module, those for type checkers left out."""
    found: list[Import] = []
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            found += [Import(alias.name, node.lineno, loaded) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            found += [
                Import(name if name in MODULES else node.module, node.lineno, loaded)
                for name in names
            ]
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        else:
            function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            found += imports(node, loaded and not function)
    return found


def starts(name: str, prefix: str) -> bool:
    return name == prefix or name.startswith(f"{prefix}.")


def rule_of(module: str) -> tuple[str, Rule]:
    """Return the rule with the longest name that fits; a new part needs a line in `RULES`."""
    fitting = [part for part in RULES if part == module or
               (part != "ibn_seg" and starts(module, part))]  # fmt: skip
    assert fitting, f"{module}: no import rule; say in RULES what it may import"
    part = max(fitting, key=len)
    return part, RULES[part]


def allowed(module: str, item: Import) -> bool:
    part, rule = rule_of(module)
    top = item.module.partition(".")[0]
    if top == "ibn_seg":
        return (
            item.module == "ibn_seg"
            or any(starts(item.module, f"ibn_seg.{own}") for own in rule.own)
            or starts(item.module, part)
        )
    packages = rule.loaded if item.loaded else rule.loaded | rule.inside
    return top in sys.stdlib_module_names or top in packages


@pytest.mark.parametrize("module", MODULES)
def test_imports_follow_the_rules(module):
    wrong = [item for item in imports(MODULES[module]) if not allowed(module, item)]
    assert wrong == []


def test_every_rule_is_about_something():
    assert {part for part in RULES if not any(starts(name, part) for name in MODULES)} == set()


def test_no_import_cycles():
    """Modules that load each other on import work or fail by who is imported first."""
    edges = {
        name: {item.module for item in imports(tree) if item.loaded and item.module in MODULES}
        for name, tree in MODULES.items()
    }
    done: set[str] = set()

    def visit(name, path):
        assert name not in path, " -> ".join([*path, name])
        if name not in done:
            for other in edges[name] - {name}:
                visit(other, [*path, name])
            done.add(name)

    for name in edges:
        visit(name, [])


@pytest.mark.parametrize("module", MODULES)
def test_importing_has_no_side_effects(module):
    """At module level nothing is called for its effect, except where registration is the job."""
    if any(starts(module, f"ibn_seg.{part}") for part in ("plugins", "engine")):
        return
    wrong = []
    for node in MODULES[module].body:
        if isinstance(node, ast.Expr) and not isinstance(node.value, ast.Constant):
            wrong.append(ast.unparse(node))
        if isinstance(node, ast.Assign | ast.AugAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            # `other.name = ...` and `TABLE[...] = ...` change what others hold.
            wrong += [
                ast.unparse(t) for t in targets if isinstance(t, ast.Attribute | ast.Subscript)
            ]
    assert wrong == []


@pytest.mark.parametrize("module", MODULES)
def test_no_star_imports_and_no_globals(module):
    for node in ast.walk(MODULES[module]):
        assert not isinstance(node, ast.Global), f"line {node.lineno}: global state"
        if isinstance(node, ast.ImportFrom):
            assert all(alias.name != "*" for alias in node.names), f"line {node.lineno}: import *"


def test_every_helper_has_a_home_with_a_name():
    names = {name.rpartition(".")[2] for name in MODULES}
    assert not names & {"utils", "util", "misc", "helpers", "common"}
