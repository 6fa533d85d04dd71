"""What the wheel and the source distribution hold and require."""

import email
import tarfile
import zipfile
from configparser import ConfigParser

import ibn_seg


def dist_info(wheel, name):
    with zipfile.ZipFile(wheel) as archive:
        return archive.read(f"ibn_seg-{ibn_seg.__version__}.dist-info/{name}").decode()


def test_wheel_installs_the_package_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        top = {name.split("/")[0] for name in archive.namelist()}
    assert top == {"ibn_seg", f"ibn_seg-{ibn_seg.__version__}.dist-info"}


def test_wheel_has_every_file_of_the_package(wheel, root):
    package = root / "ibn_seg"
    files = {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in package.rglob("*")
        if path.is_file() and not {"__pycache__", ".mim"} & set(path.parts)
    }
    with zipfile.ZipFile(wheel) as archive:
        packed = {
            name: archive.read(name)
            for name in archive.namelist()
            if name.startswith("ibn_seg/") and ".mim" not in name
        }
    assert packed == files


def test_wheel_has_the_configs_where_mim_keeps_them(wheel, root):
    configs = {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in (root / "configs").rglob("*.*")
        if path.suffix in (".py", ".yaml")
    }
    start = "ibn_seg/.mim/"
    with zipfile.ZipFile(wheel) as archive:
        packed = {
            name.removeprefix(start): archive.read(name)
            for name in archive.namelist()
            if name.startswith(start)
        }
    assert packed == configs
    assert any(name.startswith("configs/demo/") for name in packed)
    assert "configs/benchmark/demo.yaml" in packed


def test_base_install_requires_torch_and_numpy_only(wheel):
    metadata = email.message_from_string(dist_info(wheel, "METADATA"))
    required = [line for line in metadata.get_all("Requires-Dist") if "extra ==" not in line]
    assert sorted(line.split(">")[0] for line in required) == ["numpy", "torch"]
    assert {"mmseg", "mmseg-original", "dev"} <= set(metadata.get_all("Provides-Extra"))
    assert metadata["Version"] == ibn_seg.__version__


def test_extras_of_one_stack_never_bring_the_other(wheel):
    metadata = email.message_from_string(dist_info(wheel, "METADATA"))

    def hosts(extra):
        lines = (line.split(";") for line in metadata.get_all("Requires-Dist") if ";" in line)
        names = {name.split("=")[0].split("<")[0].split(">")[0] for name, where in lines
                 if where.strip() == f'extra == "{extra}"'}  # fmt: skip
        return {name.strip() for name in names if name.strip().startswith(("mm", "onedl"))}

    assert hosts("mmseg") == {"onedl-mmsegmentation", "mmcv-lite", "mmengine"}
    assert hosts("mmseg-original") == {"mmsegmentation", "mmcv", "mmengine"}
    assert hosts("cli") == hosts("dev") == set()


def test_wheel_has_the_command(wheel):
    scripts = ConfigParser()
    scripts.read_string(dist_info(wheel, "entry_points.txt"))
    assert dict(scripts["console_scripts"]) == {"ibn-seg": "ibn_seg.__main__:main"}


def test_sdist_is_complete(built, root):
    with tarfile.open(built[0]) as archive:
        modes = {m.name.partition("/")[2]: m.mode for m in archive.getmembers() if m.isfile()}
    assert {
        ".ci/run", ".pre-commit-config.yaml", "CHANGELOG.md", "CITATION.cff", "CONTRIBUTING.md",
        "LICENSE", "Makefile", "README.md", "data/README.md", "data/effect.png",
        "data/photographs.svg", "hubconf.py",
    } <= set(modes)  # fmt: skip
    for folder in (".github", "configs", "docs", "ibn_seg", "tests", "tools"):
        for path in (root / folder).rglob("*"):
            if path.is_file() and not {"__pycache__", ".mim"} & set(path.parts):
                assert path.relative_to(root).as_posix() in modes
    assert modes[".ci/run"] & 0o100
