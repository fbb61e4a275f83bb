"""Installs what others publish on npm into `.cache/real/`, once."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

CACHES = Path(__file__).parents[3] / ".cache" / "real"


class NpmMissing(Exception):
    """A package cannot be installed here; the message says why and what to do."""


def npm_install(package: str, folder: Path, proof: Path) -> None:
    """Install a package unless `proof`, a file of it, is there. Raises `NpmMissing`."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        raise NpmMissing(f"node and npm (20 or newer) are not installed: {package} is not used.")
    if proof.exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    command = ["npm", "install", "--silent", "--no-fund", "--no-audit", "--prefix", str(folder), package]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
    except subprocess.TimeoutExpired as exc:
        raise NpmMissing(f"npm did not install {package} within five minutes.") from exc
    except subprocess.CalledProcessError as exc:
        raise NpmMissing(f"npm cannot install {package}: {exc.stderr.strip()[-300:]}") from exc
