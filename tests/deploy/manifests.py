"""Render kustomizations as far as ours go: resources, components, patches, generated maps.

Strategy: kustomize itself is not to be had everywhere. A patch is merged as the Kubernetes
API merges: objects by key, lists of named things by name.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

KUBERNETES = Path(__file__).parents[2] / "deploy" / "kubernetes"
Manifest = dict[str, Any]
KNOWN = {"apiVersion", "kind", "resources", "components", "patches", "configMapGenerator"}
KNOWN |= {"images", "labels"}


def documents(path: Path) -> list[Manifest]:
    """Return all documents of a YAML file."""
    return [found for found in yaml.safe_load_all(path.read_text()) if found is not None]


def render(directory: Path) -> list[Manifest]:
    """Return what ``kubectl apply -k`` would apply, image tags and name hashes aside."""
    (kustomization,) = documents(directory / "kustomization.yaml")
    return _apply(kustomization, directory, [])


def _apply(kustomization: Manifest, directory: Path, found: list[Manifest]) -> list[Manifest]:
    assert kustomization.keys() <= KNOWN, kustomization.keys() - KNOWN
    for name in kustomization.get("resources", []):
        found += documents(directory / name)
    for generator in kustomization.get("configMapGenerator", []):
        found.append(_config_map(generator, directory))
    for patch in kustomization.get("patches", []):
        (change,) = documents(directory / patch["path"])
        found = [
            _merge(each, change) if _is_target(each, patch["target"]) else each for each in found
        ]
    for name in kustomization.get("components", []):
        (component,) = documents(directory / name / "kustomization.yaml")
        assert component["kind"] == "Component"
        found = _apply(component, directory / name, found)
    return found


def _config_map(generator: Manifest, directory: Path) -> Manifest:
    data = dict(line.split("=", 1) for line in generator.get("literals", []))
    data |= {name: (directory / name).read_text() for name in generator.get("files", [])}
    metadata = {"name": generator["name"]}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def _is_target(manifest: Manifest, target: Manifest) -> bool:
    label, _, value = target["labelSelector"].partition("=")
    labels = manifest["metadata"].get("labels", {})
    return manifest["kind"] == target["kind"] and labels.get(label) == value


def _merge(manifest: Manifest, change: Manifest) -> Manifest:
    merged = deepcopy(manifest)
    for key, value in change.items():
        if key == "metadata" and "name" in value:
            continue  # the patch's own name
        old = merged.get(key)
        if isinstance(value, dict) and isinstance(old, dict):
            merged[key] = _merge(old, value)
        elif isinstance(value, list) and isinstance(old, list):
            names = {item["name"] for item in value}
            merged[key] = [*value, *(item for item in old if item["name"] not in names)]
        else:
            merged[key] = deepcopy(value)
    merged["kind"] = manifest.get("kind", merged.get("kind"))
    return {key: value for key, value in merged.items() if value is not None}


def containers(manifest: Manifest) -> Iterator[Manifest]:
    """Yield all containers of what makes pods, native sidecars first."""
    pod = manifest["spec"]["template"]["spec"]
    yield from pod.get("initContainers", [])
    yield from pod["containers"]
