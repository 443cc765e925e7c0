"""Make docs/images/locust.png: locust's own page during a short run through the proxy.

    python tools/make_locust_screenshot.py

Starts a cluster, the proxy and locust, lets Debian's chromium look at the page, and ends
them all. Half a minute.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

from proxy.embedded import EmbeddedCluster, ProxyProcess, lease_ports, wait_for
from proxy.embedded.leash import Leash
from proxy.embedded.ports import is_port_free

ROOT = Path(__file__).resolve().parent.parent
IMAGE = ROOT / "docs" / "images" / "locust.png"
SIZE = {"width": 1280, "height": 860}
LOAD = "--users 40 --spawn-rate 20 --run-time 60s --autostart --autoquit 0"
SEEN_ENOUGH_REQUESTS = 15_000
START_LIMIT_S = 20.0
LIMIT_MS = 50_000


def main() -> None:
    """Take the picture."""
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("chromium is not on PATH: apt-get install chromium")
    with (
        EmbeddedCluster() as cluster,
        ProxyProcess(cluster.addresses) as proxy,
        lease_ports(1) as lease,
        Leash() as leash,
    ):
        port = lease.ports[0]
        locustfile = ROOT / "loadtest" / "locustfile.py"
        command = [
            *(sys.executable, "-m", "locust", "-f", str(locustfile), *LOAD.split()),
            *("--host", f"redis://127.0.0.1:{proxy.port}"),
            *("--web-host", "127.0.0.1", "--web-port", str(port)),
        ]
        process = leash.start(command, log=leash.directory / "locust.log")
        try:
            wait_for(lambda: not is_port_free(port), START_LIMIT_S, lambda: "locust's page")
            take_picture(chromium, f"http://127.0.0.1:{port}")
        finally:
            process.terminate()
            process.wait()


def take_picture(chromium: str, url: str) -> None:
    """Wait until the page has something to show, and keep it."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium)
        page = browser.new_page(viewport=SIZE, color_scheme="light", device_scale_factor=1)
        page.goto(url)
        page.wait_for_function(
            "least => Number(document.body.innerText.match(/Aggregated\\s+(\\d+)/)?.[1]) >= least",
            arg=SEEN_ENOUGH_REQUESTS,
            timeout=LIMIT_MS,
        )
        IMAGE.parent.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=IMAGE, full_page=True)
        browser.close()


if __name__ == "__main__":
    main()
