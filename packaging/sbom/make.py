"""Writes what is inside the program as a CycloneDX list: every crate that is compiled in, and ONNX Runtime. Run by scripts/sbom."""

import json
import os
import re
import sys
import tomllib
import uuid
from datetime import UTC, datetime

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

ROOT = "calmline"


def main() -> None:
    metadata_path, lock_path, onnxruntime_path, out_path = sys.argv[1:]
    metadata = json.load(open(metadata_path, "rb"))
    sums = {(p["name"], p["version"]): p.get("checksum") for p in tomllib.load(open(lock_path, "rb"))["package"]}
    packages = {package["id"]: package for package in metadata["packages"]}
    needs = compiled_in(metadata, packages)

    components = {i: component(packages[i], sums) for i in needs}
    root_id = next(i for i in needs if packages[i]["name"] == ROOT)
    bom = Bom(components=[c for i, c in components.items() if i != root_id])
    bom.metadata.component = components[root_id]
    bom.metadata.component.type = ComponentType.APPLICATION
    runtime = onnxruntime(open(onnxruntime_path).read())
    bom.components.add(runtime)
    for i, needed in needs.items():
        bom.register_dependency(components[i], [components[n] for n in needed])
    bom.register_dependency(components[root_id], [runtime])

    # The same commit makes the same list.
    if epoch := os.environ.get("SOURCE_DATE_EPOCH"):
        bom.metadata.timestamp = datetime.fromtimestamp(int(epoch), UTC)
        bom.serial_number = uuid.uuid5(uuid.NAMESPACE_URL, f"calmline:{packages[root_id]['version']}:{epoch}")
    text = JsonV1Dot6(bom).output_as_string(indent=1)
    if fault := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
        raise SystemExit(f"not CycloneDX 1.6: {fault}")
    open(out_path, "w").write(text + "\n")
    print(f"{out_path}: {len(components)} crates, ONNX Runtime {runtime.version}")


def compiled_in(metadata: dict, packages: dict) -> dict[str, list[str]]:
    """The packages that the program is made of, macros among them, each with those it needs; none of tests or build scripts alone."""
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    needs: dict[str, list[str]] = {}
    waiting = [i for i in metadata["workspace_members"] if packages[i]["name"] == ROOT]
    while waiting:
        i = waiting.pop()
        if i in needs:
            continue
        # A kind of none is an ordinary dependency.
        needs[i] = [d["pkg"] for d in nodes[i]["deps"] if any(kind["kind"] is None for kind in d["dep_kinds"])]
        waiting += needs[i]
    return needs


def component(package: dict, sums: dict) -> Component:
    """One crate; those of crates.io with the sum of Cargo.lock."""
    name, version = package["name"], package["version"]
    sum_ = sums.get((name, version))
    spoken = (package["license"] or "").replace("/", " OR ")
    return Component(
        type=ComponentType.LIBRARY,
        name=name,
        version=version,
        bom_ref=f"{name}@{version}",
        purl=PackageURL("cargo", name=name, version=version) if package["source"] else None,
        licenses=[LicenseFactory().make_from_string(spoken)] if spoken else [],
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=sum_)] if sum_ else [],
    )


def onnxruntime(script: str) -> Component:
    """The library that is fetched as a wheel, by the script that pins it."""
    version = re.search(r"^version=(\S+)$", script, re.MULTILINE)[1]
    return Component(
        type=ComponentType.LIBRARY,
        name="onnxruntime",
        version=version,
        bom_ref=f"onnxruntime@{version}",
        purl=PackageURL("pypi", name="onnxruntime", version=version),
        licenses=[LicenseFactory().make_from_string("MIT")],
    )


main()
