"""The import rules of CONTRIBUTING, checked on the source of every module."""

import ast
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "ibn_seg"

MM = {"mmengine", "mmcv", "mmseg"}
PICTURES = {"numpy", "cv2", "PIL"}
# The files at the top of the package, each behind what it may import; every room may use all.
BASE = (
    "errors", "environment", "type_names", "pickled_arrays", "harmless_classes",
    "checkpoint_files", "mxnet_params", "io", "provenance", "config_errors", "config_values",
    "config", "pretraining", "progress", "terminal", "heap", "worker_pool", "yaml_values",
)  # fmt: skip
# The rooms, each behind those that it may use: arrows run up this table, never down.
ROOMS: dict[str, set[str]] = {
    "methods": set(),
    "layers": set(),
    "models": {"layers"},
    "foundation": {"models"},
    "surgery": {"layers", "models"},
    "adaptation": {"layers"},
    "datasets": set(),
    "evaluation": {"datasets"},
    "trust": {"evaluation"},
    "transforms": {"datasets", "evaluation"},
    "statistics": {"evaluation"},
    "results": {"datasets", "evaluation"},
    "engine": {
        "layers", "models", "foundation", "adaptation", "datasets", "evaluation", "trust",
        "transforms", "results",
    },
    "reid": {"statistics", "models", "engine"},
    "explain": set(),
    "plugins": {
        "layers", "models", "foundation", "datasets", "evaluation", "transforms", "engine",
    },
    "scenes": {"datasets"},
    "report": {"methods", "datasets", "evaluation", "statistics"},
    "run": {
        "methods", "models", "foundation", "surgery", "datasets", "evaluation", "trust", "engine",
        "explain", "plugins",
    },
    "trial": {"engine", "explain", "plugins", "run"},
    "command_options": {"run"},
    "swap": {"models", "foundation", "plugins", "run"},
    "imagenet": {"models", "transforms", "engine", "run"},
    "retrieval": {"datasets", "models", "engine", "reid", "run"},
    "predict": {"datasets", "trust", "engine", "explain", "run"},
    "export": {"models", "surgery", "trust", "run"},
    "downloads": {"datasets", "reid", "transforms", "engine", "explain", "run", "predict"},
    "analyses": {
        "methods", "models", "datasets", "evaluation", "trust", "transforms", "statistics",
        "results", "engine", "reid", "explain", "scenes", "report", "run", "command_options",
        "retrieval",
    },
    "leaderboard": {
        "methods", "datasets", "evaluation", "statistics", "results", "reid", "report", "analyses",
    },
    "benchmark": {
        "methods", "models", "datasets", "evaluation", "statistics", "results", "reid", "explain",
        "scenes", "run", "trial", "retrieval", "analyses",
    },
    "panels": {"datasets", "evaluation", "results", "explain", "report", "run", "benchmark"},
    "demo": {
        "engine", "scenes", "reid", "report", "run", "retrieval", "leaderboard", "benchmark",
        "panels",
    },
    "cli": {
        "models", "datasets", "transforms", "scenes", "report", "run", "command_options", "swap",
        "imagenet", "predict", "export", "downloads", "analyses", "leaderboard", "benchmark",
        "panels", "demo", "reid", "retrieval", "trust",
    },
    "__main__": {"cli"},
}  # fmt: skip
# Rooms to which a line of a table adds parts: they may use rooms that no part of today uses.
GROWING = {"analyses"}


@dataclass(frozen=True)
class Packages:
    """Which packages of others a part of ours may load.

    Attributes:
        loaded: When it is imported.
        inside: Later, inside a function, in addition.
    """

    loaded: set[str] = frozenset()
    inside: set[str] = frozenset()


NOTHING = Packages()
# By the longest name that fits; parts that are not here load the standard library alone. A * is any
# one name: files of that name follow the rule in every analysis.
PACKAGES: dict[str, Packages] = {
    "io": Packages(set(), {"torch"}),
    "harmless_classes": Packages(set(), {"mmengine"}),
    "pickled_arrays": Packages({"numpy"}),
    "mxnet_params": Packages({"numpy"}),
    "config_values": Packages(set(), {"mmengine"}),
    "config": Packages(set(), {"mmengine"}),
    "progress": Packages(set(), {"rich"}),
    "terminal": Packages(set(), {"rich"}),
    "worker_pool": Packages({"cv2"}),
    "yaml_values": Packages(set(), {"yaml"}),
    "layers": Packages({"torch", "numpy"}),
    "layers.triton_kernels": Packages({"triton"}),
    "layers.triton_passes": Packages({"torch", "triton"}),
    "models": Packages({"torch", "numpy"}),
    "foundation": Packages({"torch"}, {"timm", "safetensors", "scipy"}),
    "surgery": Packages({"torch", "numpy"}),
    "adaptation": Packages({"torch"}),
    "datasets": Packages(MM | PICTURES | {"torch"}),
    "datasets.subset": NOTHING,
    "datasets.labels": Packages({"numpy"}),
    "datasets.class_space": Packages({"numpy"}),
    "datasets.class_map": Packages({"numpy"}),
    "datasets.known_classes": NOTHING,
    "datasets.all_datasets": Packages(set(), {"mmseg"}),
    "datasets.card": NOTHING,
    "datasets.targets": NOTHING,
    "datasets.listing": NOTHING,
    "datasets.cache": Packages({"numpy"}, {"zstandard"}),
    "evaluation": Packages(MM | {"torch", "numpy", "prettytable"}),
    "evaluation.protocols": NOTHING,
    "evaluation.confusion": Packages({"numpy"}, {"torch"}),
    "evaluation.stored": Packages({"numpy"}),
    "trust": Packages({"numpy"}),
    "trust.confidence_files": Packages(PICTURES),
    "transforms": Packages(MM | PICTURES | {"torch"}),
    "transforms.corruptions": Packages({"numpy", "cv2", "torch"}),
    "transforms.corruption_sets": Packages({"numpy"}),
    "transforms.imagenet_c": Packages(PICTURES, {"scipy"}),
    "transforms.pixel_shifts": Packages({"torch"}),
    "transforms.spectrum": Packages({"numpy"}),
    "statistics": Packages({"numpy"}, {"scipy"}),
    "results.kept_matrices": Packages({"numpy"}),
    "results.keep_folder": Packages({"numpy"}),
    "engine": Packages(MM | PICTURES | {"torch", "rich"}),
    "reid": Packages({"numpy"}),
    "reid.retrieval_losses": Packages({"torch"}),
    "reid.bnneck": Packages({"torch"}),
    "reid.searched_network": Packages({"torch"}),
    "reid.erasing": Packages({"numpy", "mmcv", "mmengine"}),
    "reid.identity_sampling": Packages({"numpy", "mmengine", "torch"}),
    "explain": Packages(MM | {"cv2", "torch"}),
    "plugins.checkpoint_names": Packages({"mmengine"}),
    "plugins.layer_configs": Packages({"mmengine", "mmcv", "torch"}),
    "plugins.mmengine": Packages({"mmengine", "torch"}),
    "plugins.method_layers": Packages({"torch"}),
    "plugins.timm": Packages({"timm", "torch"}),
    "plugins.timm_network": Packages({"timm", "torch"}),
    "plugins.smp": Packages({"segmentation_models_pytorch", "torch"}),
    "plugins": Packages(MM | {"torch", "numpy"}),
    "scenes": Packages(PICTURES),
    "report": Packages(PICTURES | {"matplotlib", "jinja2", "markupsafe"}, {"rich", "yaml"}),
    "run": Packages({"numpy"}, MM | {"torch"}),
    "trial": Packages(MM | {"torch", "cv2"}),
    "trial.try_training": Packages(set(), MM | {"torch"}),
    "command_options": Packages({"click"}),
    "swap": Packages({"mmengine", "torch"}),
    "imagenet": Packages({"mmengine", "torch", "PIL"}, {"torchvision"}),
    "imagenet.run_imagenet": Packages(set(), {"mmengine", "torch"}),
    "imagenet.recipe": NOTHING,
    "imagenet.train_config": NOTHING,
    "retrieval.colour_histogram": Packages({"numpy"}),
    "retrieval.crops": Packages({"numpy", "torch", "PIL"}),
    "retrieval.ranked_sheet": Packages(PICTURES),
    "retrieval.run_retrieval": Packages(set(), {"numpy", "torch"}),
    "retrieval.run_training": Packages(set(), {"mmengine", "torch"}),
    "retrieval.training_network": Packages({"mmengine", "torch"}),
    "retrieval.training_pictures": Packages({"mmengine", "numpy", "torch"}),
    "predict": Packages(PICTURES, MM | {"torch"}),
    "predict.windows": Packages({"mmseg", "torch", "numpy"}),
    "export": Packages({"numpy"}, {"torch", "onnxruntime"}),
    "export.exportable": Packages({"torch"}),
    "downloads": Packages(PICTURES, MM),
    "analyses": Packages({"numpy"}, MM | {"torch"}),
    "analyses.option_kinds": Packages(set(), {"click"}),
    "analyses.*.command": Packages({"click"}, {"rich"}),
    "analyses.*.printing": Packages(inside={"rich"}),
    "analyses.*.drawing": Packages({"matplotlib"}),
    "analyses.*.features": Packages({"torch", "numpy"}),
    "analyses.*.measure": Packages({"torch", "numpy"}),
    "leaderboard": Packages({"numpy", "markupsafe"}),
    "benchmark": Packages(set(), MM | {"torch"}),
    "panels": Packages({"numpy"}, MM | {"torch", "cv2"}),
    "demo": Packages({"numpy"}),
    "cli": Packages({"click", "rich"}),
}


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


def imports(tree: ast.AST, loaded: bool = True, typing: bool = False) -> list[Import]:
    """List the imports of a module; those for type checkers if `typing`."""
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
            found += imports(node, False, typing) if typing else []
        else:
            function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            found += imports(node, loaded and not function, typing)
    return found


def starts(name: str, prefix: str) -> bool:
    return name == prefix or name.startswith(f"{prefix}.")


def room_of(module: str) -> str:
    """Return the first part of a module's name behind `ibn_seg`."""
    return module.removeprefix("ibn_seg").lstrip(".").partition(".")[0]


def fits(name: str, rule: str) -> bool:
    """Tell whether a rule of `PACKAGES` is about a module; a * in it is any one name."""
    words, wanted = name.split("."), rule.split(".")
    return len(words) >= len(wanted) and all(
        two in (one, "*") for one, two in zip(words, wanted, strict=False)
    )


def packages_of(module: str) -> Packages:
    """Return what a module may load of others."""
    name = module.removeprefix("ibn_seg").lstrip(".")
    fitting = [rule for rule in PACKAGES if fits(name, rule)]
    return PACKAGES[max(fitting, key=lambda rule: len(rule.split(".")))] if fitting else NOTHING


def allowed(module: str, item: Import) -> bool:
    """Tell whether a module may have an import."""
    top = item.module.partition(".")[0]
    if top == "ibn_seg":
        mine, other = room_of(module), room_of(item.module)
        if mine in BASE:
            return other in ("", *BASE[: BASE.index(mine)])
        return other in ("", mine, *BASE) or other in ROOMS.get(mine, ())
    rule = packages_of(module)
    packages = rule.loaded if item.loaded else rule.loaded | rule.inside
    return top in sys.stdlib_module_names or top in packages


@pytest.mark.parametrize("module", MODULES)
def test_imports_follow_the_rules(module):
    wrong = [item for item in imports(MODULES[module]) if not allowed(module, item)]
    assert wrong == []


def test_every_rule_is_about_something():
    rooms = {room_of(name) for name in MODULES} - {""}
    assert rooms == {*BASE, *ROOMS}
    names = {name.removeprefix("ibn_seg.") for name in MODULES}
    assert {rule for rule in PACKAGES if not any(fits(name, rule) for name in names)} == set()


def test_arrows_between_rooms_run_one_way():
    order = list(ROOMS)
    for place, room in enumerate(order):
        assert ROOMS[room] <= set(order[:place]), f"{room}: rooms below it in the table"


def test_no_arrow_is_allowed_that_is_not_there():
    drawn = {
        (room_of(name), room_of(item.module))
        for name, tree in MODULES.items()
        for item in imports(tree, typing=True)
    }
    promised = {(room, other) for room in ROOMS.keys() - GROWING for other in ROOMS[room]}
    assert promised <= drawn


def test_no_import_cycles():
    """Imports inside functions and for type checkers count too."""
    edges = {
        name: {item.module for item in imports(tree, typing=True) if item.module in MODULES}
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


def test_file_names_occur_once():
    """Commands, and the same part of sibling analyses, may be called alike."""
    seen: dict[str, str] = {}
    for name in MODULES:
        path = PACKAGE.parent.joinpath(*name.split("."))
        if path.is_dir() or room_of(name) == "cli":
            continue
        leaf = name.rpartition(".")[2]
        if name.startswith("ibn_seg.analyses."):
            leaf = f"analysis: {leaf}" if name.count(".") == 3 else leaf
            assert seen.get(leaf, "analyses") in ("analyses", name), name
            seen.setdefault(leaf, "analyses")
            continue
        assert leaf not in seen, f"{name} and {seen[leaf]}"
        seen[leaf] = name


def test_files_are_short():
    long = {
        str(path): lines
        for path in PACKAGE.rglob("*")
        if path.suffix in {".py", ".c", ".h", ".js", ".css", ".j2"}
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) >= 400
    }
    assert long == {}


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
