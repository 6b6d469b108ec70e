//! What `deploy/` puts on a cluster is what `docs/privileges.md` says, and fits the programs that it starts.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::{program, repository};

fn read(path: &str) -> Result<String> {
    fs::read_to_string(repository().join(path)).with_context(|| format!("read {path}"))
}

/// The documents of a YAML file.
fn documents(path: &Path) -> Result<Vec<Value>> {
    let text = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    serde_saphyr::from_multiple(&text).with_context(|| format!("parse {}", path.display()))
}

/// Every directory below `deploy/` that has a kustomization, with it.
fn kustomizations() -> Result<Vec<(PathBuf, Value)>> {
    let mut found = Vec::new();
    for directory in [
        "base",
        "overlays/minimal",
        "overlays/full",
        "components/crio",
        "components/docker",
        "components/k3s",
        "components/shared-ledger",
    ] {
        let directory = repository().join("deploy").join(directory);
        let mut documents = documents(&directory.join("kustomization.yaml"))?;
        ensure!(documents.len() == 1, "{}: not one document", directory.display());
        found.push((directory, documents.remove(0)));
    }
    Ok(found)
}

/// The strings in an array, and the `path` of the objects in it.
fn paths(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array().into_iter().flatten().filter_map(|item| item.as_str().or_else(|| item["path"].as_str()))
}

/// Every object that a kustomization names, base, overlay or patch.
fn manifests() -> Result<Vec<Value>> {
    let mut manifests = Vec::new();
    for (directory, kustomization) in kustomizations()? {
        for path in paths(&kustomization["resources"]).chain(paths(&kustomization["patches"])) {
            if directory.join(path).is_file() {
                manifests.extend(documents(&directory.join(path))?);
            }
        }
    }
    Ok(manifests)
}

/// The one object of the base of this kind and name.
fn of_base(kind: &str, name: &str) -> Result<Value> {
    let (directory, kustomization) = kustomizations()?.remove(0);
    for path in paths(&kustomization["resources"]) {
        for object in documents(&directory.join(path))? {
            if object["kind"] == kind && object["metadata"]["name"] == name {
                return Ok(object);
            }
        }
    }
    bail!("no {kind} {name} in the base")
}

pub(crate) fn daemon_set() -> Result<Value> {
    of_base("DaemonSet", "coroner-agent")
}

/// The agent's DaemonSet with the patch of the full overlay.
pub(crate) fn full_daemon_set() -> Result<Value> {
    let mut daemon_set = daemon_set()?;
    let patch = documents(&repository().join("deploy/overlays/full/agent.yaml"))?.remove(0);
    merge(&mut daemon_set, patch);
    Ok(daemon_set)
}

/// A strategic merge, as far as the overlay needs it: lists of named things by their names, other lists as a whole.
fn merge(base: &mut Value, patch: Value) {
    match (base, patch) {
        (Value::Object(base), Value::Object(patch)) => {
            for (key, value) in patch {
                merge(base.entry(key).or_insert(Value::Null), value);
            }
        }
        (Value::Array(base), Value::Array(patch)) if patch.iter().all(|item| item["name"].is_string()) => {
            for item in patch {
                match base.iter_mut().find(|known| known["name"] == item["name"]) {
                    Some(known) => merge(known, item),
                    None => base.push(item),
                }
            }
        }
        (base, patch) => *base = patch,
    }
}

pub(crate) fn stateful_set() -> Result<Value> {
    of_base("StatefulSet", "coroner-aggregator")
}

pub(crate) fn container(workload: &Value) -> &Value {
    &workload["spec"]["template"]["spec"]["containers"][0]
}

/// The values of a flag in a container's arguments.
fn flag<'a>(container: &'a Value, name: &str) -> Vec<&'a str> {
    let arguments = container["args"].as_array().into_iter().flatten().filter_map(Value::as_str);
    arguments.filter_map(|argument| argument.strip_prefix(name)?.strip_prefix('=')).collect()
}

fn text(value: &Value) -> Result<&str> {
    value.as_str().with_context(|| format!("{value} is no string"))
}

fn port(address: &str) -> Result<u64> {
    let port = address.rsplit(':').next().unwrap_or_default();
    port.parse().with_context(|| format!("no port in {address}"))
}

/// The capabilities that a container adds; fails unless it drops all others.
fn capabilities(container: &Value) -> Result<Vec<String>> {
    let capabilities = &container["securityContext"]["capabilities"];
    ensure!(capabilities["drop"] == json!(["ALL"]), "does not drop ALL: {capabilities}");
    let added = capabilities["add"].as_array().into_iter().flatten().filter_map(Value::as_str);
    Ok(added.map(str::to_owned).collect())
}

#[test]
fn every_manifest_is_named_by_a_kustomization_and_is_there() -> Result<()> {
    let mut named = BTreeSet::new();
    for (directory, kustomization) in kustomizations()? {
        named.insert(directory.join("kustomization.yaml"));
        for path in paths(&kustomization["resources"]).chain(paths(&kustomization["patches"])) {
            let path = directory.join(path);
            ensure!(path.exists(), "{} is not there", path.display());
            named.insert(path);
        }
    }
    let mut directories = vec![repository().join("deploy")];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory)? {
            let path = entry?.path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "yaml") {
                ensure!(named.contains(&path), "{} is named by no kustomization", path.display());
            }
        }
    }
    Ok(())
}

#[test]
fn nothing_is_privileged() -> Result<()> {
    for workload in [daemon_set()?, stateful_set()?] {
        let context = &container(&workload)["securityContext"];
        ensure!(context["privileged"] == false, "{context}");
        ensure!(context["allowPrivilegeEscalation"] == false, "{context}");
        ensure!(context["readOnlyRootFilesystem"] == true, "{context}");
        let pod = &workload["spec"]["template"]["spec"];
        ensure!(pod["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault", "{pod}");
        ensure!(pod["hostPID"].is_null() && pod["hostNetwork"].is_null() && pod["hostIPC"].is_null(), "{pod}");
    }
    ensure!(capabilities(container(&daemon_set()?))? == ["SYSLOG"]);
    ensure!(capabilities(container(&stateful_set()?))?.is_empty());
    for patch in manifests()? {
        let context = &container(&patch)["securityContext"];
        for forbidden in ["privileged", "allowPrivilegeEscalation"] {
            ensure!(context[forbidden].is_null() || context[forbidden] == false, "{context}");
        }
    }
    Ok(())
}

#[test]
fn nothing_of_the_cluster_can_be_changed_and_no_secret_read() -> Result<()> {
    let mut roles = 0;
    for object in manifests()? {
        let kind = object["kind"].as_str().unwrap_or_default();
        ensure!(kind != "ServiceAccount" || object["automountServiceAccountToken"] == false, "{object}");
        ensure!(kind != "Role", "{object}: ClusterRoles are what docs/privileges.md tells of");
        if kind != "ClusterRole" {
            continue;
        }
        roles += 1;
        for rule in object["rules"].as_array().context("rules")? {
            let words = |key: &str| rule[key].as_array().into_iter().flatten().filter_map(Value::as_str);
            // A review is a question, and stores nothing; but it is put by creating one.
            let is_review =
                words("resources").all(|resource| ["tokenreviews", "subjectaccessreviews"].contains(&resource));
            let allowed: &[&str] = if is_review { &["create"] } else { &["get", "list", "watch"] };
            ensure!(words("verbs").all(|verb| allowed.contains(&verb)), "{rule}");
            let forbidden = ["*", "secrets", "configmaps", "nodes/proxy", "pods/exec", "pods/log"];
            ensure!(words("resources").chain(words("apiGroups")).all(|word| !forbidden.contains(&word)), "{rule}");
        }
    }
    ensure!(roles == 2, "{roles} roles");
    Ok(())
}

#[test]
fn each_privilege_is_documented_with_what_it_buys() -> Result<()> {
    let documentation = read("docs/privileges.md")?;
    let rows: Vec<&str> = documentation.lines().filter(|line| line.starts_with('|')).collect();
    let is_documented = |grant: &str| rows.iter().any(|row| row.contains(&format!("`{grant}`")));
    for object in manifests()? {
        for rule in object["rules"].as_array().into_iter().flatten() {
            for resource in rule["resources"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                ensure!(is_documented(resource), "docs/privileges.md does not say what {resource} buys");
            }
        }
        if object["kind"] != "DaemonSet" {
            continue;
        }
        let container = container(&object);
        let mut grants: Vec<String> = match &container["securityContext"] {
            Value::Null => Vec::new(),
            _ => capabilities(container)?,
        };
        let pod = &object["spec"]["template"]["spec"];
        for volume in pod["volumes"].as_array().into_iter().flatten() {
            grants.extend(volume["hostPath"]["path"].as_str().map(str::to_owned));
        }
        grants.extend(
            ["hostNetwork", "hostPID", "hostIPC"].iter().filter(|key| pod[key] == true).map(|key| key.to_string()),
        );
        for grant in grants {
            ensure!(is_documented(&grant), "docs/privileges.md does not say what {grant} buys");
        }
    }
    Ok(())
}

#[test]
fn the_node_is_mounted_below_the_host_root_and_read_only() -> Result<()> {
    let daemon_set = daemon_set()?;
    let agent = container(&daemon_set);
    let [root] = flag(agent, "--host-root")[..] else { bail!("one --host-root wanted") };
    for volume in daemon_set["spec"]["template"]["spec"]["volumes"].as_array().context("volumes")? {
        let Some(path) = volume["hostPath"]["path"].as_str() else { continue };
        let mounts = agent["volumeMounts"].as_array().context("volumeMounts")?;
        let mount = mounts.iter().find(|mount| mount["name"] == volume["name"]).context("a volume without a mount")?;
        if volume["name"] == "outbox" {
            let [outbox] = flag(agent, "--outbox")[..] else { bail!("one --outbox wanted") };
            ensure!(Path::new(outbox).parent() == mount["mountPath"].as_str().map(Path::new), "{mount}");
        } else {
            ensure!(mount["mountPath"] == format!("{root}{path}"), "{mount} for {path}");
            ensure!(mount["readOnly"] == true, "{mount}");
        }
    }
    Ok(())
}

#[test]
fn probes_ports_names_and_secrets_fit_together() -> Result<()> {
    let (daemon_set, stateful_set) = (daemon_set()?, stateful_set()?);
    let (agent, aggregator) = (container(&daemon_set), container(&stateful_set));
    for container in [agent, aggregator] {
        let [health] = flag(container, "--health-listen")[..] else { bail!("one --health-listen wanted") };
        for probe in ["livenessProbe", "readinessProbe"] {
            ensure!(container[probe]["grpc"]["port"] == port(health)?, "{probe} of {}", container["name"]);
        }
    }

    let service = of_base("Service", "coroner-aggregator")?;
    let service_port = service["spec"]["ports"][0]["port"].as_u64().context("the port of the Service")?;
    ensure!(service["spec"]["selector"] == stateful_set["spec"]["template"]["metadata"]["labels"]);
    ensure!(stateful_set["spec"]["selector"]["matchLabels"] == stateful_set["spec"]["template"]["metadata"]["labels"]);
    ensure!(daemon_set["spec"]["selector"]["matchLabels"] == daemon_set["spec"]["template"]["metadata"]["labels"]);
    ensure!(flag(agent, "--aggregator") == [format!("https://coroner-aggregator:{service_port}")]);
    let listen = flag(aggregator, "--listen");
    ensure!(listen.len() == 2 && port(listen[0])? == service_port, "{listen:?}");
    ensure!(aggregator["ports"][0] == json!({"name": "grpc", "containerPort": service_port}));
    ensure!(aggregator["env"].as_array().is_some_and(|env| env.iter().any(|env| env["value"] == listen[1])));
    ensure!(read("deploy/certificates")?.contains("names=DNS:coroner-aggregator,"));

    let [token] = flag(agent, "--token-file")[..] else { bail!("one --token-file wanted") };
    let volumes = daemon_set["spec"]["template"]["spec"]["volumes"].as_array().context("volumes")?;
    let projected = volumes.iter().find(|volume| volume["name"] == "token").context("no volume for the token")?;
    let projected = &projected["projected"]["sources"][0]["serviceAccountToken"];
    let mounts = agent["volumeMounts"].as_array().context("volumeMounts")?;
    let mount = mounts.iter().find(|mount| mount["name"] == "token").context("the token is not mounted")?;
    ensure!(format!("{}/{}", text(&mount["mountPath"])?, text(&projected["path"])?) == token, "{token}");
    // What the aggregator takes if it is not told otherwise.
    ensure!(projected["audience"] == "coroner" && flag(aggregator, "--token-audience").is_empty(), "{projected}");
    let account = text(&daemon_set["spec"]["template"]["spec"]["serviceAccountName"])?;
    ensure!(account == "coroner-agent" && flag(aggregator, "--agent-account").is_empty(), "{account}");

    for (workload, secret) in [(&daemon_set, "coroner-agent-tls"), (&stateful_set, "coroner-aggregator-tls")] {
        let volumes = workload["spec"]["template"]["spec"]["volumes"].as_array().context("volumes")?;
        ensure!(volumes.iter().any(|volume| volume["secret"]["secretName"] == secret), "{secret} is not mounted");
        for document in ["deploy/certificates", "docs/operating.md"] {
            ensure!(
                read(document)?.contains(&format!("secret generic {secret} ")),
                "{document} does not make {secret}"
            );
        }
    }
    Ok(())
}

#[test]
fn the_image_has_one_name_and_the_version_of_the_workspace() -> Result<()> {
    ensure!(container(&daemon_set()?)["image"] == "coroner" && container(&stateful_set()?)["image"] == "coroner");
    let (_, base) = kustomizations()?.remove(0);
    ensure!(base["images"] == json!([{"name": "coroner", "newName": "coroner", "newTag": env!("CARGO_PKG_VERSION")}]));
    Ok(())
}

#[test]
fn the_image_is_built_by_the_pinned_toolchain() -> Result<()> {
    let toolchain = read("rust-toolchain.toml")?;
    let pinned =
        toolchain.lines().find_map(|line| line.strip_prefix("channel = ")).context("no channel")?.trim_matches('"');
    let dockerfile = read("Dockerfile")?;
    ensure!(dockerfile.contains(&format!("ARG RUST_IMAGE=docker.io/library/rust:{pinned}-")), "base of the Dockerfile");
    ensure!(dockerfile.contains(&format!("ENV RUSTUP_TOOLCHAIN={pinned}\n")), "RUSTUP_TOOLCHAIN of the Dockerfile");
    // The base has gcc and libc6-dev; what else a build needs, the Makefile and the Dockerfile both install.
    let needs = "BUILD := gcc libc6-dev protoc=protobuf-compiler\n";
    ensure!(read("Makefile")?.contains(needs), "the Makefile's needs are not {needs}");
    ensure!(dockerfile.contains("--no-install-recommends protobuf-compiler &&"), "what the Dockerfile installs");
    Ok(())
}

#[test]
fn every_flag_that_a_manifest_gives_is_known_to_its_program() -> Result<()> {
    for workload in [daemon_set()?, stateful_set()?] {
        let container = container(&workload);
        let name = container["command"][0].as_str().context("no command")?;
        let output = Command::new(program(name)?).arg("--help").output()?;
        ensure!(output.status.success(), "{name} --help: {}", output.status);
        let help = String::from_utf8(output.stdout)?;
        let known: BTreeSet<&str> = help.split_whitespace().map(|word| word.trim_end_matches(',')).collect();
        for argument in container["args"].as_array().context("no args")? {
            let flag = argument.as_str().and_then(|argument| argument.split('=').next()).context("an argument")?;
            ensure!(known.contains(flag), "{name} does not know {flag}");
        }
    }
    Ok(())
}
