"""What `kubectl kustomize` and Helm make of deploy/: usage: rendered.py REPOSITORY.

Every variant is valid by the schemas of Kubernetes 1.30 to 1.37, keeps to its declared level of Pod Security, and the chart makes the
same objects as the kustomization. Helm is its own library (Helm 4), kubectl its own program; both come from PyPI.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import kubernetes_validate
import yaml
from helm_python import chart

REPOSITORY = pathlib.Path(sys.argv[1]).resolve()
DEPLOY = REPOSITORY / "deploy"
KUBECTL = pathlib.Path(sys.executable).parent / "kubectl"
VERSIONS = [f"1.{minor}" for minor in range(30, 38)]
# Objects of other projects; their schemas are not among those of Kubernetes.
FOREIGN = ("cert-manager.io/", "security.openshift.io/", "monitoring.coreos.com/")

# A variant of the chart and the same of the kustomization: values, overlay, components.
VARIANTS = {
    "default": ({}, "base", []),
    "minimal": ({"agent": {"privileges": "minimal"}}, "overlays/minimal", []),
    "full": ({"agent": {"privileges": "full"}}, "overlays/full", []),
    "crio": ({"runtime": "crio"}, "base", ["crio"]),
    "k3s": ({"runtime": "k3s"}, "base", ["k3s"]),
    "docker": ({"runtime": "docker"}, "base", ["docker"]),
    "ephemeral": ({"aggregator": {"persistence": {"enabled": False}}}, "base", ["ephemeral-ledger"]),
    "secrets": ({"tls": {"mode": "secrets"}}, "base", ["certificates"]),
    "cert-manager": ({"tls": {"mode": "cert-manager"}}, "base", ["cert-manager"]),
    "openshift": ({"openshift": {"enabled": True}, "runtime": "crio"}, "base", ["openshift"]),
    "events": ({"events": {"enabled": True}}, "base", ["events"]),
    "monitoring": ({"prometheus": {name: {"enabled": True} for name in ("podMonitor", "rules", "dashboard")}}, "base", ["monitoring"]),
    "self-signed-kubelet": ({"agent": {"kubelet": {"insecureTLS": True}}}, "base", ["self-signed-kubelet"]),
}
# What the chart has no value for.
COMPONENTS = ["shared-ledger", "tracefs"]

problems = []
# What was found valid, or reported, already.
validated = set()


def problem(text):
    problems.append(text)
    print(text, file=sys.stderr)


def kustomize(overlay, components):
    with tempfile.TemporaryDirectory(dir=DEPLOY.parent / "target") as directory:
        relative = "../../deploy"
        kustomization = {
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "resources": [f"{relative}/{overlay}"],
            "components": [f"{relative}/components/{name}" for name in components],
        }
        (pathlib.Path(directory) / "kustomization.yaml").write_text(json.dumps(kustomization))
        return rendered(directory)


def rendered(directory):
    output = subprocess.run([KUBECTL, "kustomize", directory], check=True, capture_output=True, text=True).stdout
    return [document for document in yaml.safe_load_all(output) if document]


def helm(values, namespace="coroner"):
    files = chart.Chart.load(DEPLOY / "chart").render(values, name="coroner", namespace=namespace)
    documents = []
    for name, text in files.items():
        if not name.endswith("NOTES.txt"):
            documents += [document for document in yaml.safe_load_all(text) if document]
    return documents


def key(document):
    return f"{document['kind']}/{document['metadata']['name']}"


def comparable(document):
    """The object without the labels of its installer, and with lists of named things by name."""
    document = json.loads(json.dumps(document))
    metadata = document["metadata"]
    labels = metadata.get("labels", {})
    for label in ("part-of", "instance", "version", "managed-by"):
        labels.pop(f"app.kubernetes.io/{label}", None)
    labels.pop("helm.sh/chart", None)
    if not labels:
        metadata.pop("labels", None)
    if document["kind"] not in ("ClusterRole", "ClusterRoleBinding", "SecurityContextConstraints"):
        # What has none is of the namespace that is installed to.
        metadata["namespace"] = metadata.get("namespace", "coroner")
    return ordered(document)


def ordered(value):
    if isinstance(value, dict):
        return {name: ordered(part) for name, part in sorted(value.items())}
    if isinstance(value, list):
        parts = [ordered(part) for part in value]
        if parts and all(isinstance(part, dict) and "name" in part for part in parts):
            return sorted(parts, key=lambda part: (part["name"], json.dumps(part, sort_keys=True)))
        if parts and all(isinstance(part, dict) for part in parts):
            return sorted(parts, key=lambda part: json.dumps(part, sort_keys=True))
        return parts
    return value


def validate(variant, documents):
    for document in documents:
        text = json.dumps(document, sort_keys=True)
        if document["apiVersion"].startswith(FOREIGN) or text in validated:
            continue
        validated.add(text)
        for version in VERSIONS:
            try:
                kubernetes_validate.validate(document, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                problem(f"{variant}: {key(document)} is not valid in Kubernetes {version}: {error.message}")


def check_security(variant, documents):
    """Pod Security Standards, of what the manifests use: the aggregator keeps to `restricted`, the agent to `baseline` but for what is named."""
    for document in documents:
        if document["kind"] not in ("StatefulSet", "DaemonSet"):
            continue
        pod = document["spec"]["template"]["spec"]
        violations = restricted(pod)
        allowed = set()
        if document["kind"] == "DaemonSet":
            allowed = {"hostPath", "runAsUser 0", "runAsNonRoot", "capabilities SYSLOG PERFMON"}
            if variant == "minimal":
                allowed.remove("capabilities SYSLOG PERFMON")
            if variant == "tracefs":
                allowed = (allowed - {"capabilities SYSLOG PERFMON"}) | {"capabilities SYSLOG"}
            if variant == "full":
                allowed = (allowed - {"capabilities SYSLOG PERFMON"}) | {
                    "capabilities SYSLOG PERFMON NET_ADMIN", "hostNetwork", "hostPID"}
        if violations != allowed:
            problem(f"{variant}: {key(document)} violates {sorted(violations)} of the level restricted, not {sorted(allowed)}")


def restricted(pod):
    found = {name for name in ("hostNetwork", "hostPID", "hostIPC") if pod.get(name)}
    if any("hostPath" in volume for volume in pod.get("volumes", [])):
        found.add("hostPath")
    for volume in pod.get("volumes", []):
        kinds = set(volume) - {"name"}
        if not kinds <= {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret", "hostPath"}:
            found.add(f"volume {kinds}")
    of_pod = pod.get("securityContext", {})
    for container in pod["containers"] + pod.get("initContainers", []):
        context = {**of_pod, **container.get("securityContext", {})}
        if context.get("privileged"):
            found.add("privileged")
        if context.get("allowPrivilegeEscalation") is not False:
            found.add("allowPrivilegeEscalation")
        if context.get("runAsNonRoot") is not True:
            found.add("runAsNonRoot")
        if context.get("runAsUser") == 0:
            found.add("runAsUser 0")
        if context.get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost"):
            found.add("seccompProfile")
        capabilities = context.get("capabilities", {})
        if capabilities.get("drop") != ["ALL"]:
            found.add("capabilities are not dropped")
        if set(capabilities.get("add") or []) - {"NET_BIND_SERVICE"}:
            found.add("capabilities " + " ".join(capabilities["add"]))
        if any("hostPort" in port for port in container.get("ports", [])) and not pod.get("hostNetwork"):
            found.add("hostPort")
    return found


def check_scopes(variant, documents):
    """Every object of a namespace is in the one that is installed to, and every reference by name leads somewhere."""
    names = {key(document) for document in documents}
    for document in documents:
        for part in ("roleRef",):
            if part in document and f"{document[part]['kind']}/{document[part]['name']}" not in names:
                problem(f"{variant}: {key(document)} refers to {document[part]}")
        for subject in document.get("subjects", []):
            if f"{subject['kind']}/{subject['name']}" not in names:
                problem(f"{variant}: {key(document)} refers to {subject}")


def compare(variant, of_chart, of_kustomize):
    # Helm makes no Namespace of its own: --create-namespace does, and NOTES.txt has the label for it.
    of_kustomize = [document for document in of_kustomize if document["kind"] != "Namespace"]
    one, other = ({key(document): comparable(document) for document in documents} for documents in (of_chart, of_kustomize))
    for name in sorted(one.keys() ^ other.keys()):
        problem(f"{variant}: {name} is in {'the chart' if name in one else 'the kustomization'} alone")
    for name in sorted(one.keys() & other.keys()):
        if one[name] != other[name]:
            left, right = (json.dumps(side[name], indent=1).splitlines() for side in (one, other))
            differing = [line for line in left if line not in right] + ["--"] + [line for line in right if line not in left]
            problem(f"{variant}: {name} differs between chart and kustomization:\n" + "\n".join(differing[:20]))


def check_openshift():
    """The constraints of the agent allow what its pod asks for, with each level of privileges, and no more."""
    for privileges in ("minimal", "base", "full"):
        documents = {key(document): document for document in helm(
            {"openshift": {"enabled": True}, "runtime": "crio", "agent": {"privileges": privileges}})}
        constraints = documents["SecurityContextConstraints/coroner-agent"]
        pod = documents["DaemonSet/coroner-agent"]["spec"]["template"]["spec"]
        asked = {
            "allowHostNetwork": pod.get("hostNetwork", False),
            "allowHostPID": pod.get("hostPID", False),
            # A pod on the node's network has its ports there.
            "allowHostPorts": pod.get("hostNetwork", False),
            "allowedCapabilities": pod["containers"][0]["securityContext"]["capabilities"].get("add", []),
        }
        allowed = {name: constraints[name] for name in asked}
        if allowed != asked:
            problem(f"openshift, {privileges}: the constraints allow {allowed}, the pod asks for {asked}")


def check_values():
    loaded = chart.Chart.load(DEPLOY / "chart")
    report = chart.lint(DEPLOY / "chart")
    for message in report["messages"]:
        if message["severity"] > 1:
            problem(f"helm lint: {message}")
    for wrong in ({"runtime": "rkt"}, {"aggregatr": {}}, {"tls": {"mode": "none"}}, {"aggregator": {"retainDays": 0}}):
        try:
            loaded.validate_schema(wrong)
        except Exception:
            continue
        problem(f"values.schema.json lets {wrong} pass")
    version = loaded.metadata["version"]
    if (version, loaded.metadata["appVersion"]) != (sys.argv[2], sys.argv[2]):
        problem(f"the chart is of version {version}")
    elsewhere = helm({}, namespace="forensics")
    for document in elsewhere:
        namespace = document["metadata"].get("namespace", "forensics")
        if namespace != "forensics" or "namespace: coroner" in yaml.dump(document):
            problem(f"{key(document)} does not follow the namespace of the release")
    if "system:serviceaccount:forensics:coroner-agent" not in yaml.dump(elsewhere):
        problem("the account of the agents does not follow the namespace of the release")


def main():
    if rendered(DEPLOY) != kustomize("base", []):
        problem("deploy/ is not deploy/base")
    for variant, (values, overlay, components) in VARIANTS.items():
        of_chart, of_kustomize = helm(values), kustomize(overlay, components)
        compare(variant, of_chart, of_kustomize)
        for documents in (of_chart, of_kustomize):
            validate(variant, documents)
            check_security(variant, documents)
            check_scopes(variant, documents)
    for component in COMPONENTS:
        documents = kustomize("base", [component])
        validate(component, documents)
        check_security(component, documents)
    validate("everything", helm({
        "aggregator": {"export": ["stdout:"], "extraArgs": ["--no-reflection"], "extraEnv": [{"name": "A", "value": "b"}],
                       "affinity": {"nodeAffinity": {}}, "tolerations": [{"operator": "Exists"}]},
        "imagePullSecrets": [{"name": "pull"}],
        "image": {"digest": "sha256:" + "0" * 64, "pullPolicy": "Always"},
    }))
    check_openshift()
    check_values()
    if problems:
        sys.exit(f"{len(problems)} problems")
    print(f"{len(VARIANTS) + len(COMPONENTS)} variants in {len(VERSIONS)} versions")


main()
