"""Packaging of ibn_seg: what it requires, its extras, and the configs that travel in the wheel."""

import ast
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
PACKAGE = "ibn_seg"

# The commands, the rendered scenes and the report; the same on both stacks. Everyone who has an
# mmsegmentation of their own installs this extra: it never touches mmseg, mmcv or mmengine.
COMMANDS = [
    "click>=8.1",
    "jinja2>=3.1",
    "matplotlib>=3.8",
    "opencv-python>=4.8",
    "pillow>=10",
    "pyyaml>=6",
    "rich>=13",
]

# mmengine 0.10.7 imports pkg_resources, which later setuptools warn about and then lack.
HOST = ["mmengine==0.10.7", "prettytable>=3", "setuptools<80"]

# Classifiers on ImageNet need no mmsegmentation; torchvision reads the folders.
TORCHVISION = "torchvision>=0.19"

# The maintained continuation of mmsegmentation (same `mmseg` folder), and mmcv without compiled
# operators: nothing has to be compiled. torchvision is what `torchvision://` weights come through.
MMSEG = ["onedl-mmsegmentation>=1.4,<1.5", "mmcv-lite==2.2.0", TORCHVISION]

# The original, with what it imports and does not require. mmcv 2.1.0 has no wheel for a PyTorch of
# today and must be compiled first: see `make test-mmseg-original`.
MMSEG_ORIGINAL = ["mmsegmentation==1.2.2", "mmcv==2.1.0", "ftfy", "regex"]

# The plug-ins of the two libraries and `ibn-seg export`; none of them brings a torch of its own.
TIMM = ["timm>=1.0"]
SMP = ["segmentation-models-pytorch>=0.5"]
ONNX = ["onnx>=1.18", "onnxruntime>=1.22", "onnxscript>=0.5"]

# The recommended codec of the cache of decoded frames; without it there are 'zlib' and 'raw'.
CACHE = ["zstandard>=0.22"]

# Where `ibn-seg train --log tensorboard` sends curves; a test reads them back.
TENSORBOARD = ["tensorboard>=2.16"]

# Independent implementations of measures, which tests compare with ours.
JUDGES = ["scikit-learn>=1.3", "torchmetrics>=1.3"]

# Where `ibn-seg benchmark` runs cells other than here.
RAY = ["ray>=2.40"]
SLURM = ["submitit>=1.5"]

# cityscapesScripts from 2.0 on requires `typing`, a backport that shadows nothing but has no
# business in a Python of today; the pixel-level evaluation is the same file in 1.5.0.
TESTS = [
    "cityscapesscripts==1.5.0",
    "hypothesis>=6.100",
    "packaging",
    "pytest>=8",
    "pytest-xdist>=3.8",
    "pyyaml",
]

EXTRAS = {
    "cli": COMMANDS,
    "imagenet": [*COMMANDS, *HOST, TORCHVISION],
    "mmseg": [*COMMANDS, *HOST, *MMSEG],
    "mmseg-original": [*COMMANDS, *HOST, *MMSEG_ORIGINAL],
    "timm": TIMM,
    "smp": SMP,
    "onnx": ONNX,
    "cache": CACHE,
    "ray": RAY,
    "slurm": SLURM,
    "tests": TESTS,
    "dev": [
        *TESTS,
        *TIMM,
        *SMP,
        *ONNX,
        *CACHE,
        *TENSORBOARD,
        *JUDGES,
        "ruff>=0.6",
        "selenium>=4.20",
    ],
}


class BuildWithConfigs(build_py):
    """Copies `configs/` to `ibn_seg/.mim/configs` of the wheel, where mim and mmengine look.

    An editable install leaves the checkout as it is: `ibn_seg.config` finds `configs/` there.
    """

    def run(self) -> None:
        """Build the package from nothing, then add the configs."""
        if not self.editable_mode:
            # A file deleted since the last build would otherwise stay in the next wheel.
            shutil.rmtree(Path(self.build_lib, PACKAGE), ignore_errors=True)
        super().run()
        if not self.editable_mode:
            for source, target in self._configs().items():
                self.mkpath(str(Path(target).parent))
                self.copy_file(source, target)

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        """Name every file that a build writes."""
        outputs = super().get_outputs(include_bytecode)
        return outputs if self.editable_mode else [*outputs, *self._configs().values()]

    def _configs(self) -> dict[str, str]:
        """Map each config file to its place in the build."""
        target = Path(self.build_lib, PACKAGE, ".mim")
        files = sorted(
            f for suffix in ("py", "yaml") for f in (ROOT / "configs").rglob(f"*.{suffix}")
        )
        return {str(file): str(target / file.relative_to(ROOT)) for file in files}


def version() -> str:
    """Read `__version__` without importing the package."""
    tree = ast.parse((ROOT / PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__version__":
            return ast.literal_eval(node.value)
    raise RuntimeError(f"{PACKAGE}/__init__.py has no __version__")


def readme() -> str:
    """Return the README as the long description."""
    return (ROOT / "README.md").read_text(encoding="utf-8")


setup(
    name=PACKAGE,
    version=version(),
    description="IBN-Net for domain-generalised semantic segmentation",
    long_description=readme(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    classifiers=[
        "Intended Audience :: Science/Research",
        "Operating System :: POSIX",
        "Programming Language :: Python :: 3 :: Only",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Topic :: Scientific/Engineering :: Image Recognition",
    ],
    python_requires=">=3.11",
    install_requires=["torch>=2.1", "numpy>=1.24"],
    extras_require=EXTRAS,
    packages=find_packages(include=[PACKAGE, f"{PACKAGE}.*"]),
    package_data={
        PACKAGE: [
            f"**/*.{suffix}"
            for suffix in ("c", "h", "j2", "css", "js", "svg", "json", "txt", "yaml")
        ]
        + ["py.typed"]
    },
    entry_points={"console_scripts": ["ibn-seg = ibn_seg.__main__:main"]},
    cmdclass={"build_py": BuildWithConfigs},
    zip_safe=False,
)
