//! The contents of `deploy/` match `docs/privileges.md`, and fit the programs that they start.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use coroner_agent::config::KUBELET_PORT;
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
    let mut directories = vec!["base".to_owned(), ".".to_owned()];
    for group in ["overlays", "components"] {
        for entry in fs::read_dir(repository().join("deploy").join(group))? {
            directories.push(format!("{group}/{}", entry?.file_name().to_string_lossy()));
        }
    }
    for directory in directories {
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
        named.insert(directory.join("kustomization.yaml").canonicalize()?);
        for path in paths(&kustomization["resources"]).chain(paths(&kustomization["patches"])) {
            let path = directory.join(path);
            ensure!(path.exists(), "{} is not there", path.display());
            named.insert(path.canonicalize()?);
        }
    }
    let mut directories = vec![repository().join("deploy").canonicalize()?];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory)? {
            let path = entry?.path();
            // Of the chart, another test holds what it renders.
            if path.ends_with("deploy/chart") || path.ends_with("deploy/plugins") {
                continue;
            }
            if path.is_dir() {
                directories.push(path.canonicalize()?);
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
        // A node without AppArmor refuses a pod that names a profile.
        ensure!(pod["securityContext"]["appArmorProfile"].is_null(), "{pod}");
        ensure!(pod["hostPID"].is_null() && pod["hostNetwork"].is_null() && pod["hostIPC"].is_null(), "{pod}");
    }
    ensure!(capabilities(container(&daemon_set()?))? == ["SYSLOG", "PERFMON"]);
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
fn nothing_of_the_cluster_can_be_changed_and_no_secret_of_others_read() -> Result<()> {
    let mut roles = 0;
    for object in manifests()? {
        let kind = object["kind"].as_str().unwrap_or_default();
        ensure!(kind != "ServiceAccount" || object["automountServiceAccountToken"] == false, "{object}");
        // The aggregator's own authority, by name: to be changed, and not to be made or removed.
        let authority = json!([
            {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["coroner-authority"], "verbs": ["get", "update"]},
            {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["coroner-ca"], "verbs": ["get", "patch"]},
        ]);
        ensure!(kind != "Role" || object["rules"] == authority, "{object}");
        if kind != "ClusterRole" {
            continue;
        }
        roles += 1;
        for rule in object["rules"].as_array().context("rules")? {
            let words = |key: &str| rule[key].as_array().into_iter().flatten().filter_map(Value::as_str);
            // A review is a question, and stores nothing; but it is put by creating one.
            let is_review =
                words("resources").all(|resource| ["tokenreviews", "subjectaccessreviews"].contains(&resource));
            // By the component `events` alone, whose purpose it is.
            let is_event = object["metadata"]["name"] == "coroner-events" && rule["resources"] == json!(["events"]);
            let allowed: &[&str] = match (is_review, is_event) {
                (true, _) => &["create"],
                (_, true) => &["create", "patch"],
                _ => &["get", "list", "watch"],
            };
            ensure!(words("verbs").all(|verb| allowed.contains(&verb)), "{rule}");
            let forbidden = ["*", "secrets", "configmaps", "nodes/proxy", "pods/exec", "pods/log"];
            ensure!(words("resources").chain(words("apiGroups")).all(|word| !forbidden.contains(&word)), "{rule}");
        }
    }
    ensure!(roles == 4, "{roles} roles");
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
                ensure!(is_documented(resource), "docs/privileges.md does not describe {resource}");
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
            ensure!(is_documented(&grant), "docs/privileges.md does not describe {grant}");
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
    let [page] = flag(aggregator, "--http-listen")[..] else { bail!("one --http-listen wanted") };
    ensure!(service["spec"]["ports"][1]["port"] == port(page)?, "the page is not in the Service");
    ensure!(aggregator["ports"][1] == json!({"name": "https", "containerPort": port(page)?}));
    ensure!(aggregator["env"].as_array().is_some_and(|env| env.iter().any(|env| env["value"] == listen[1])));
    ensure!(read("deploy/certificates")?.contains("names=DNS:coroner-aggregator,"));

    let [token] = flag(agent, "--token-file")[..] else { bail!("one --token-file wanted") };
    let volumes = daemon_set["spec"]["template"]["spec"]["volumes"].as_array().context("volumes")?;
    let projected = volumes.iter().find(|volume| volume["name"] == "token").context("no volume for the token")?;
    let projected = &projected["projected"]["sources"][0]["serviceAccountToken"];
    let mounts = agent["volumeMounts"].as_array().context("volumeMounts")?;
    let mount = mounts.iter().find(|mount| mount["name"] == "token").context("the token is not mounted")?;
    ensure!(format!("{}/{}", text(&mount["mountPath"])?, text(&projected["path"])?) == token, "{token}");
    // The default of the aggregator.
    ensure!(projected["audience"] == "coroner" && flag(aggregator, "--token-audience").is_empty(), "{projected}");
    let account = text(&daemon_set["spec"]["template"]["spec"]["serviceAccountName"])?;
    ensure!(account == "coroner-agent" && flag(aggregator, "--agent-account").is_empty(), "{account}");

    let issue = aggregator["env"].as_array().into_iter().flatten().find(|env| env["name"] == "CORONER_ISSUE_TLS");
    ensure!(issue.context("no certificate is issued")?["value"] == "coroner-aggregator");
    let tls = volumes.iter().find(|volume| volume["name"] == "tls").context("no volume for the authority")?;
    let [ca] = flag(agent, "--tls-ca")[..] else { bail!("one --tls-ca wanted") };
    let mount = mounts.iter().find(|mount| mount["name"] == "tls").context("the authority is not mounted")?;
    let item = &tls["configMap"]["items"][0];
    ensure!(tls["configMap"]["name"] == "coroner-ca" && item["key"] == "ca.crt", "{tls}");
    ensure!(format!("{}/{}", text(&mount["mountPath"])?, text(&item["path"])?) == ca, "{ca}");
    of_base("ConfigMap", "coroner-ca")?;
    of_base("Secret", "coroner-authority")?;
    for secret in ["coroner-agent-tls", "coroner-aggregator-tls"] {
        let named = manifests()?.iter().any(|object| object.to_string().contains(secret));
        ensure!(named, "{secret} is mounted by no component");
        ensure!(read("deploy/certificates")?.contains(&format!("secret generic {secret} ")), "{secret} is not made");
    }
    Ok(())
}

/// The ports that a policy opens in this direction, and the pods of Coroner that it names there.
fn opened(policy: &Value, direction: &str) -> Result<(BTreeSet<u64>, BTreeSet<String>)> {
    let (mut ports, mut peers) = (BTreeSet::new(), BTreeSet::new());
    for rule in policy["spec"][direction].as_array().into_iter().flatten() {
        for port in rule["ports"].as_array().context("a rule for all ports")? {
            ports.insert(port["port"].as_u64().context("a port")?);
        }
        let of_direction = if direction == "ingress" { "from" } else { "to" };
        for peer in rule[of_direction].as_array().into_iter().flatten() {
            let component = &peer["podSelector"]["matchLabels"]["app.kubernetes.io/component"];
            peers.extend(component.as_str().map(str::to_owned));
        }
    }
    Ok((ports, peers))
}

/// What the programs listen on and connect to, as their flags and their code have it.
#[test]
fn network_policies_open_the_ports_that_are_used_and_no_other() -> Result<()> {
    // The API server behind its Service and on its own, the kubelet, and names.
    let always = BTreeSet::from([443, 6443, u64::from(KUBELET_PORT), 53]);
    let with = |ports: &[u64]| always.iter().chain(ports).copied().collect::<BTreeSet<_>>();
    let (daemon_set, stateful_set) = (daemon_set()?, stateful_set()?);
    let (agent, aggregator) = (container(&daemon_set), container(&stateful_set));
    let only = |container: &Value, name: &str| match flag(container, name)[..] {
        [value] => port(value),
        _ => bail!("one {name} wanted"),
    };
    let [agent_health, aggregator_health] = [only(agent, "--health-listen")?, only(aggregator, "--health-listen")?];
    let [feed, page] = [port(flag(aggregator, "--listen")[0])?, only(aggregator, "--http-listen")?];
    let names = |of: &[&str]| of.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    let policy = |name| of_base("NetworkPolicy", name);

    let of_agent = policy("coroner-agent")?;
    ensure!(opened(&of_agent, "ingress")?.0 == BTreeSet::from([agent_health]));
    ensure!(
        opened(&of_agent, "egress")?
            == (with(&[only(agent, "--aggregator")?, agent_health]), names(&["agent", "aggregator"]))
    );
    let of_aggregator = policy("coroner-aggregator")?;
    // The kubelet's probes of the health port need no rule.
    ensure!(opened(&of_aggregator, "ingress")? == (BTreeSet::from([feed, page]), names(&["agent"])));
    ensure!(opened(&of_aggregator, "egress")? == (with(&[agent_health]), names(&["agent"])));
    let others: BTreeMap<_, _> = manifests()?
        .into_iter()
        .filter(|object| object["kind"] == "NetworkPolicy" && object["metadata"]["namespace"] == "coroner")
        .map(|policy| (policy["metadata"]["name"].as_str().unwrap_or_default().to_owned(), policy))
        .collect();
    for (name, policy) in others {
        let expected = match name.as_str() {
            "coroner-metrics" => (BTreeSet::from([agent_health, aggregator_health]), BTreeSet::new()),
            // Of agents in the network of their nodes, which no selector of pods matches.
            "coroner-aggregator-from-nodes" => (BTreeSet::from([feed]), BTreeSet::new()),
            // The default port of NATS, as the component's URL has it.
            "coroner-aggregator-nats" => (BTreeSet::new(), BTreeSet::from([4222])),
            _ => bail!("the test does not know the policy {name}"),
        };
        ensure!((opened(&policy, "ingress")?.0, opened(&policy, "egress")?.0) == expected, "{policy}");
    }
    let shared = read("deploy/components/shared-ledger/aggregator.yaml")?;
    ensure!(shared.contains(":4222"), "another port of NATS than its policy opens");
    // Who is named by a policy has the labels that it names.
    for (workload, component) in [(&daemon_set, "agent"), (&stateful_set, "aggregator")] {
        let labels = &workload["spec"]["template"]["metadata"]["labels"];
        ensure!(labels["app.kubernetes.io/component"] == component && labels["app.kubernetes.io/name"] == "coroner");
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
