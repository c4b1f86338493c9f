"""Local stand-ins for the base images, because a test machine may reach no image registry.

Each is made of Debian packages by ``standins/<name>/Dockerfile``, and named as the project's own
Dockerfile and compose file name the real one. All are kept in one archive, so that only the first
run on a machine builds them.
"""

import hashlib
import os
import platform
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.compose.engine import Engine, run

ROOT = Path(__file__).parents[2]
STANDINS = Path(__file__).parent / "standins"
BASE = "parkade-standin/base"
ROOTFS = "parkade-standin/rootfs"
BUILD_TIMEOUT_S = 900.0
CERTIFICATES = Path("/usr/local/share/ca-certificates")
CERTIFICATE_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")


def cache_directory() -> Path:
    """Return where archives are kept between runs: ``PARKADE_CACHE`` or ~/.cache/parkade."""
    chosen = os.environ.get("PARKADE_CACHE")
    directory = Path(chosen) if chosen else Path.home() / ".cache" / "parkade"
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def wanted_images() -> list[str]:
    """Return the registry images that the Dockerfile and the compose file name."""
    dockerfile = (ROOT / "Dockerfile").read_text()
    compose = (ROOT / "docker-compose.yml").read_text()
    stages = set(re.findall(r"^FROM \S+ AS (\S+)$", dockerfile, re.MULTILINE))
    named = set(re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE)) - stages
    named |= set(re.findall(r"^\s+image: (\S+)$", compose, re.MULTILINE))
    return sorted(name for name in named if not name.startswith("parkade:"))


def provide_images(engine: Engine) -> None:
    """Load the stand-ins into the engine; build them first where the cache has none that fit."""
    with tempfile.TemporaryDirectory(prefix="parkade-standins-") as scratch:
        context = Path(scratch)
        shutil.copytree(STANDINS, context, dirs_exist_ok=True)
        _copy_machine_settings(context / "base" / "machine")
        archive = cache_directory() / f"standins-{_digest(context)}.tar"
        if not archive.exists():
            _build_all(engine, context)
            _save(engine, archive)
        else:
            engine.docker("load", "-q", "-i", archive, timeout_s=BUILD_TIMEOUT_S)


def build_parkade(engine: Engine) -> None:
    """Build the project's own image from its own Dockerfile, as compose would name it."""
    # The host's network, because the machine's registries may be reachable from there only.
    engine.docker(
        *("build", "--network", "host", "-t", "parkade:local", ROOT), timeout_s=BUILD_TIMEOUT_S
    )


def _build_all(engine: Engine, context: Path) -> None:
    engine.docker("import", _root_file_system(), ROOTFS, timeout_s=BUILD_TIMEOUT_S)
    _build(engine, context / "base", BASE)
    for image in wanted_images():
        _build(engine, context / image.partition(":")[0], image)


def _build(engine: Engine, context: Path, tag: str) -> None:
    engine.docker("build", "--network", "host", "-t", tag, context, timeout_s=BUILD_TIMEOUT_S)


def _save(engine: Engine, archive: Path) -> None:
    for outdated in archive.parent.glob("standins-*.tar"):
        outdated.unlink()
    unfinished = archive.with_suffix(".new")
    engine.docker("save", "-o", unfinished, *wanted_images(), timeout_s=BUILD_TIMEOUT_S)
    unfinished.rename(archive)


def _root_file_system() -> Path:
    """Return the archive of a minimal Debian, of the same release as this machine."""
    release = platform.freedesktop_os_release()["VERSION_CODENAME"]
    archive = cache_directory() / f"rootfs-{release}-{platform.machine()}.tar"
    if archive.exists():
        return archive
    with tempfile.TemporaryDirectory(prefix="parkade-rootfs-") as scratch:
        root, unfinished = Path(scratch) / "root", archive.with_suffix(".new")
        options = ("--variant=minbase", "--include=ca-certificates")
        target = (release, str(root), *_mirror_of(release))
        run("debootstrap", *options, *target, timeout_s=BUILD_TIMEOUT_S)
        left_out = ("--exclude=./dev/*", "--exclude=./var/cache/apt/archives/*.deb")
        run("tar", "-C", root, *left_out, "-cf", unfinished, ".", timeout_s=120)
        unfinished.rename(archive)
    return archive


def _mirror_of(release: str) -> list[str]:
    for line in _package_sources().splitlines():
        _, address, suite, _ = line.split()
        if suite == release:
            return [address]
    return []


def _package_sources() -> str:
    """Return Debian's package sources of this machine, one line each."""
    line = "$(ORIGIN)|deb $(REPO_URI) $(RELEASE) $(COMPONENT)"
    ask = ("apt-get", "indextargets", "--format", line, "Created-By: Packages", "Origin: Debian")
    known = run(*ask)
    if not known:  # apt tells the origin of fetched lists only
        run("apt-get", "update", "-qq", timeout_s=BUILD_TIMEOUT_S)
        known = run(*ask)
    return known.replace("Debian|", "")


def _copy_machine_settings(target: Path) -> None:
    """Lay out how this machine reaches its package registries, for the stand-ins to inherit."""
    for folder in ("etc/apt/apt.conf.d", "usr/local/share/ca-certificates"):
        (target / folder).mkdir(parents=True)
    (target / "etc/apt/sources.list").write_text(_package_sources())
    (target / "etc/apt/apt.conf.d/90machine").write_text(_apt_settings())
    (target / "etc/pip.conf").write_text(_pip_settings())
    for certificate in sorted(CERTIFICATES.glob("*.crt")):
        shutil.copy(certificate, target / "usr/local/share/ca-certificates")
    shutil.copy(CERTIFICATE_BUNDLE, target / "usr/local/share/machine-certificates.pem")


def _apt_settings() -> str:
    """Return how apt fetches here (proxies, checks of dates), nothing about what it installs."""
    kept = r"^Acquire::(https?::|Check-|Retries|Languages)"
    settings = run("apt-config", "dump", "--no-empty").splitlines()
    return "".join(f"{line}\n" for line in settings if re.match(kept, line))


def _pip_settings() -> str:
    """Return how pip fetches here. Left out: what lies in directories of this machine."""
    pip = subprocess.run(
        ["python3", "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
    )
    kept = r"^(?:global|:env:)\.(index-url|extra-index-url|trusted-host|proxy|cert)='(.*)'$"
    found = dict(re.findall(kept, pip.stdout, re.MULTILINE))
    settings = {key: value for key, value in found.items() if "file:" not in value}
    return "".join(["[global]\n", *(f"{key} = {value}\n" for key, value in settings.items())])


def _digest(context: Path) -> str:
    """Return what changes when a stand-in, a name or a setting of the machine changes."""
    sum_ = hashlib.sha256(" ".join([platform.machine(), *wanted_images()]).encode())
    for path in sorted(path for path in context.rglob("*") if path.is_file()):
        sum_.update(str(path.relative_to(context)).encode() + b"\0" + path.read_bytes())
    return sum_.hexdigest()[:16]
