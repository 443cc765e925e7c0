"""Build the Dockerfile, as it is shipped, on a machine without Docker and without Docker Hub.

Strategy: buildah builds as root in a plain chroot. The base image cannot be pulled
everywhere, so the Debian release of its name, made with debootstrap, stands in under that
name. Both are kept in a directory for temporary files, so that only the first run is slow.

Cost: about 50 s for the stand-in and 60 s for the first build, then what has changed
(2 cores).
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
RECIPE = 1  # of the stand-in; another one needs another cache
CACHE = Path(tempfile.gettempdir()) / f"slotway-images-{os.getuid()}-{RECIPE}"
PROGRAMS = ("buildah", "debootstrap", "unshare", "nsenter", "ip")
# Images, with those that builds of earlier sources have left, above which the nameless go.
KEPT_IMAGES = 60
# What the image's makers leave out of "slim", too.
NOT_SLIM = ("var/cache/apt/archives", "var/lib/apt/lists", "usr/share/doc", "usr/share/man")
NOT_SLIM += ("usr/share/info", "usr/share/locale", "debootstrap")
KEEP_NO_PACKAGES = """\
DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb"; };
Dir::Cache::pkgcache ""; Dir::Cache::srcpkgcache "";
"""


def missing() -> str:
    """Return why no image can be built here; empty if one can."""
    if os.getuid() != 0:
        return "not root"
    absent = [program for program in PROGRAMS if shutil.which(program) is None]
    return f"there is no {', no '.join(absent)}" if absent else ""


def buildah(*arguments: str | Path) -> str:
    """Run buildah on a storage of our own and return what it prints.

    Raises:
        AssertionError: It fails; the message is the end of what it said.
    """
    command = ["buildah", "--root", CACHE / "storage", "--runroot", CACHE / "run", *_driver()]
    return _run([*command, *arguments]).strip()


def build(arguments: Sequence[str]) -> None:
    """Build an image from the project's directory.

    Args:
        arguments: As for ``docker build``, the context "." last.
    """
    CACHE.mkdir(mode=0o700, exist_ok=True)
    with _alone(), tempfile.TemporaryDirectory() as directory:
        in_use = buildah("containers", "--quiet")
        if len(buildah("images", "-aq").split()) > KEPT_IMAGES and not in_use:
            # What has a name stays: another worker may be about to make a container of it.
            buildah("rmi", "--prune")
        for base in _bases():
            _provide(base)
        buildah(
            *("bud", "--isolation", "chroot", "--network", "host", "--layers", "--pull-never"),
            # The OCI's own format has no place for HEALTHCHECK.
            *("--format", "docker"),
            *("--volume", f"{_pip_settings(Path(directory))}:/etc/xdg/pip:ro"),
            *arguments[:-1],
            ROOT / arguments[-1],
        )


@contextmanager
def mounted(image: str) -> Iterator[Path]:
    """Lay out the files of an image, to run it or to look at it."""
    container = buildah("from", "--pull-never", image)
    try:
        yield Path(buildah("mount", container))
    finally:
        buildah("rm", container)


def settings_of(image: str) -> dict[str, object]:
    """Return what the image says of how it is to be run: Env, User, Cmd, Healthcheck, ..."""
    found: dict[str, object] = json.loads(buildah("inspect", "--type", "image", image))["Docker"]
    config = found["config"]
    assert isinstance(config, dict)
    return config


def _bases() -> set[str]:
    """Return the images that the Dockerfile begins with."""
    return set(re.findall(r"^FROM (\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE))


def _provide(base: str) -> None:
    """Make the stand-in for ``debian:<release>-slim``, unless it is there."""
    if buildah("images", "--quiet", "--filter", f"reference={base}"):
        return
    name = re.fullmatch(r"docker\.io/library/debian:(\w+)-slim", base)
    assert name is not None, f"no stand-in for {base}"
    packages = CACHE / "packages"
    packages.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as directory:
        tree = Path(directory) / "root"
        _run(["debootstrap", "--variant=minbase", f"--cache-dir={packages}", name[1], tree])
        for path in NOT_SLIM:
            shutil.rmtree(tree / path, ignore_errors=True)
        for path in NOT_SLIM[:2]:
            (tree / path / "partial").mkdir(parents=True)
        (tree / "etc/apt/apt.conf.d/docker-clean").write_text(KEEP_NO_PACKAGES)
        container = buildah("from", "scratch")
        buildah("add", "--quiet", container, tree, "/")
        buildah("config", "--cmd", "bash", container)
        buildah("commit", "--quiet", "--rm", container, base)


def _pip_settings(directory: Path) -> Path:
    """Write what pip needs on this machine to reach its index; nothing of it is in the image."""
    lines = ["[global]"]
    for line in _run(["python3", "-m", "pip", "config", "list"]).splitlines():
        key, _, value = line.partition("=")
        option, value = key.rpartition(".")[2], value.strip("'\"")
        if option == "cert":
            shutil.copy(value, directory / "ca.crt")
            lines.append("cert = /etc/xdg/pip/ca.crt")
        elif option in ("index-url", "proxy", "timeout", "trusted-host"):
            lines.append(f"{option} = {value}")
    (directory / "pip.conf").write_text("\n".join([*dict.fromkeys(lines), ""]))
    directory.chmod(0o755)
    return directory


def _driver() -> list[str]:
    """Use the kernel's overlays, or, where those are not permitted, whole copies."""
    chosen = CACHE / "driver"
    if not chosen.exists():
        probe = subprocess.run(
            ["buildah", "--root", CACHE / "probe", "--storage-driver", "overlay", "info"],
            capture_output=True,
            check=False,
        )
        chosen.write_text("vfs" if probe.returncode else "overlay")
    return ["--storage-driver", chosen.read_text()]


@contextmanager
def _alone() -> Iterator[None]:
    """Let one process at a time fill the cache."""
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _run(command: Sequence[str | Path]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    said = f"{done.stdout}\n{done.stderr}"
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{said[-4000:]}"
    return done.stdout
