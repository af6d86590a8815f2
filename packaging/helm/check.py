"""Renders the chart as `helm template` would, and looks at what comes out. Run by scripts/check-chart."""

import os
import pathlib
import subprocess
import sys
import tempfile

import kubernetes_validate
import yaml
from helm_python import Chart

KUBERNETES = ["1.27", "1.31", "1.34"]

# Values, and what has to be among what they make.
CASES = {
    "as it comes": ({}, {"StatefulSet", "ConfigMap", "Secret", "Service", "PodDisruptionBudget"}),
    "a secret of theirs, addresses of pods": ({"existingSecret": "keys", "hostNetwork": False}, {"StatefulSet"}),
    "watched, placed, long drains": (
        {
            "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
            "nodeSelector": {"calls": "yes"},
            "tolerations": [{"key": "calls", "operator": "Exists"}],
            "persistence": {"storageClass": "fast"},
            "image": {"tag": "0.1.0-1", "pullSecrets": [{"name": "registry"}]},
            "drainSeconds": 1800,
        },
        {"ServiceMonitor"},
    ),
    "one site of several nodes": (
        {
            "replicas": 3,
            "existingSecret": "keys",
            "site": {
                "enabled": True,
                "name": "hotline",
                "database": "postgres://calmline@db.example/calmline",
                "bus": "nats://bus.example:4222",
                "credentialsSecret": "bus",
            },
        },
        {"StatefulSet"},
    ),
}
# What a site's configuration says.
SITE = ['name = "POD_NAME"', 'site = "hotline"', "database = ", "[bus]", "credentials = "]

# Values that have to be refused.
SITED = {"enabled": True, "database": "postgres://calmline@db.example/calmline", "bus": "nats://bus.example:4222"}
REFUSED = [
    {"replica": 3},
    {"ports": {"sip": "5060"}},
    {"drainSeconds": -1},
    {"ports": {"rtp": "20000"}},
    {"site": SITED},  # Without a Secret of theirs nobody knows the database's password.
    {"site": {"enabled": True}, "existingSecret": "keys"},
    {"site": {**SITED, "bus": "http://bus.example"}, "existingSecret": "keys"},
]


def main() -> None:
    chart = Chart.load(sys.argv[1])
    program = sys.argv[2]
    for name, (values, wanted) in CASES.items():
        objects = rendered(chart, values)
        kinds = {an_object["kind"] for an_object in objects}
        assert wanted <= kinds, f"{name}: expected {wanted}, found {kinds}"
        assert ("Secret" in kinds) != ("existingSecret" in values), f"{name}: a Secret that nobody asked for, or none"
        for an_object in objects:
            look(an_object)
        config_map = next(an_object for an_object in objects if an_object["kind"] == "ConfigMap")
        text = config_map["data"]["calmline.toml"]
        is_site = "site" in values
        assert all((line in text) == is_site for line in SITE), f"{name}: expected {SITE} where there is a site\n{text}"
        if program:
            read_by(program, config_map)
        print(f"{name}: {len(objects)} objects")
    for values in REFUSED:
        try:
            chart.validate_schema(values)
        except Exception as error:  # noqa: BLE001 Whatever says no will do.
            print(f"refused, as it should be: {values}: {str(error).splitlines()[-1]}")
        else:
            raise SystemExit(f"{values}: expected to be refused")


def rendered(chart: Chart, values: dict) -> list[dict]:
    """Every object that `values` make."""
    chart.validate_schema(values)
    files = chart.render(values, name="site", namespace="calls")
    texts = [text for path, text in sorted(files.items()) if path.endswith(".yaml")]
    return [an_object for text in texts for an_object in yaml.safe_load_all(text) if an_object]


def look(an_object: dict) -> None:
    """Holds one object to Kubernetes' schemas, and a StatefulSet to what pods of ours promise."""
    if an_object["kind"] == "ServiceMonitor":
        return  # Not Kubernetes' own.
    for version in KUBERNETES:
        kubernetes_validate.validate(an_object, version, strict=True)
    if an_object["kind"] != "StatefulSet":
        return
    pod = an_object["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"]
    for container in pod["containers"] + pod["initContainers"]:
        assert container["securityContext"]["readOnlyRootFilesystem"], container["name"]
        mounted = {mount["name"] for mount in container["volumeMounts"]}
        claims = {claim["metadata"]["name"] for claim in an_object["spec"]["volumeClaimTemplates"]}
        assert mounted <= claims | {volume["name"] for volume in pod["volumes"]}, container["name"]


def read_by(program: str, config_map: dict) -> None:
    """Has `calmline check` read the configuration as a pod would, with this tree's policies and lists."""
    config = pathlib.Path(__file__).parents[2] / "config"
    text = config_map["data"]["calmline.toml"].replace("HOST_IP", "192.0.2.20").replace("POD_NAME", "site-0")
    text = text.replace("/etc/calmline/", f"{config}/")
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "calmline.toml"
        path.write_text(text)
        environment = os.environ | {"CALMLINE_TOKEN": "0123456789abcdef0123", "CALMLINE_MASTER_KEY": "00" * 32, "CALMLINE_DATABASE_PASSWORD": "x"}
        subprocess.run([program, "check", path], check=True, env=environment)


main()
