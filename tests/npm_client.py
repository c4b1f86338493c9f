"""npm's ocpp-rpc, installed once for each lock file."""

import hashlib
import shutil
import subprocess
from pathlib import Path

PACKAGE = Path(__file__).parent / "e2e" / "ocpp_rpc"
FILES = ("package.json", "package-lock.json", ".npmrc")


def is_available() -> bool:
    """Node and npm are on this machine."""
    return shutil.which("node") is not None and shutil.which("npm") is not None


def installed(cache: Path) -> Path:
    """Install what the lock file names, once; return the package.json beside it."""
    lock = (PACKAGE / "package-lock.json").read_bytes()
    folder = cache / f"ocpp-rpc-{hashlib.sha256(lock).hexdigest()[:12]}"
    if not (folder / "installed").exists():
        folder.mkdir(parents=True, exist_ok=True)
        for name in FILES:
            shutil.copy(PACKAGE / name, folder / name)
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        subprocess.run(command, cwd=folder, check=True, timeout=300, capture_output=True)
        (folder / "installed").touch()
    return folder / "package.json"
