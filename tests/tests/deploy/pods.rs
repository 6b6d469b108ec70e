//! The pods of the manifests on a real containerd, with the privileges that they ask for, and no others.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use coroner_tests::api_server::ApiServer;
use coroner_tests::{ContainerSpec, MIB, Node, PodSpec, until};
use k8s_cri::v1::runtime_service_client::RuntimeServiceClient;
use k8s_cri::v1::security_profile::ProfileType;
use k8s_cri::v1::{
    Capability, ContainerConfig, ContainerMetadata, CreateContainerRequest, ExecSyncRequest, ExecSyncResponse,
    ImageSpec, Int64Value, KeyValue, LinuxContainerConfig, LinuxContainerResources, LinuxContainerSecurityContext,
    LinuxPodSandboxConfig, LinuxSandboxSecurityContext, Mount, MountPropagation, NamespaceMode, NamespaceOption,
    PodSandboxConfig, PodSandboxMetadata, RunPodSandboxRequest, SecurityProfile, StartContainerRequest,
    StopContainerRequest,
};
use nix::mount::{MsFlags, mount};
use serde_json::{Value, json};
use tonic::transport::Channel;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use super::image::{self, Image};
use super::manifests::{container, daemon_set, full_daemon_set, stateful_set};

/// What the kubelet hides of /proc and /sys from every container (pkg/securitycontext/util.go).
const MASKED: [&str; 10] = [
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
];
/// What the kubelet projects into the agent's pod.
const AGENT_TOKEN: &str = "the-token-of-the-agent";
const KUBECONFIG: &str = "kubeconfig";
/// Where the manifests put everything.
const NAMESPACE: &str = "coroner";

const READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// Where the test puts what a pod of the cluster would find on its node, in its volumes and in its network.
struct Cluster<'a> {
    node: &'a Node,
    runtime: RuntimeServiceClient<Channel>,
    directory: PathBuf,
    /// Ports of the manifests, in the order in which they are looked for, and what stands for them on this machine.
    ports: Vec<(&'static str, String, u16)>,
    /// Accepts the agent's token, and stores the aggregator's authority.
    api: ApiServer,
}

impl<'a> Cluster<'a> {
    async fn new(node: &'a Node, image: &Image) -> Result<Self> {
        let directory = node.directory().join("cluster");
        fs::create_dir(&directory)?;
        let archive = directory.join("image.tar");
        image.export(&archive)?;
        image::run(
            Command::new("ctr")
                .arg("-a")
                .arg(node.socket())
                .args(["-n", "k8s.io", "images", "import", "--snapshotter", "native"])
                .arg(archive),
        )?;
        let api = ApiServer::start().await?;
        for (resource, name) in [("secrets", "coroner-authority"), ("configmaps", "coroner-ca")] {
            api.apply(resource, json!({"metadata": {"namespace": NAMESPACE, "name": name, "uid": name}}));
        }
        api.issue(AGENT_TOKEN, "system:serviceaccount:coroner:coroner-agent", "coroner", Some("node-1"));
        // In the volume that the aggregator has for its socket.
        let path = made(directory.join("aggregator/run"))?.join(KUBECONFIG);
        api.write_kubeconfig(&path)?;
        let mut kubeconfig: Value = serde_json::from_slice(&fs::read(&path)?)?;
        kubeconfig["contexts"][0]["context"]["namespace"] = NAMESPACE.into();
        // The image has no authorities of its own, and a pod is given the cluster's; any will do for plain text.
        let authority = rcgen::generate_simple_self_signed(["unused".to_owned()])?.cert.pem();
        fs::write(directory.join("aggregator/run/ca.crt"), authority)?;
        kubeconfig["clusters"][0]["cluster"]["certificate-authority"] = "/run/coroner/ca.crt".into();
        fs::write(&path, kubeconfig.to_string())?;
        fs::write(directory.join("hosts"), "127.0.0.1 localhost coroner-aggregator\n")?;
        // Pods on the host's network share its ports. Held until all are chosen, so that they differ.
        let wanted = [("", ":7070"), ("agent", ":7071"), ("aggregator", ":7071"), ("aggregator", ":7080")];
        let listeners = wanted.map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)));
        let mut ports = Vec::new();
        for (listener, (pod, port)) in listeners.into_iter().zip(wanted) {
            ports.push((pod, port.to_owned(), listener?.local_addr()?.port()));
        }
        let runtime = RuntimeServiceClient::new(node.channel());
        Ok(Self { node, runtime, directory, ports, api })
    }

    /// The port of this machine for a pod's port of the manifest.
    fn port(&self, pod: &str, port: &str) -> Option<u16> {
        self.ports.iter().find(|(of, text, _)| (of.is_empty() || *of == pod) && text == port).map(|(_, _, port)| *port)
    }

    /// An argument, with the ports of this machine.
    fn argument(&self, pod: &str, argument: &str) -> String {
        let Some((rest, port)) = argument.rsplit_once(':') else { return argument.to_owned() };
        match self.port(pod, &format!(":{port}")) {
            Some(port) => format!("{rest}:{port}"),
            None => argument.to_owned(),
        }
    }

    /// What stands for a volume.
    fn volume(&self, pod: &str, volume: &Value) -> Result<PathBuf> {
        let name = volume["name"].as_str().context("a volume without a name")?;
        let path = self.directory.join(pod).join(name);
        if let Some(node) = volume["hostPath"]["path"].as_str() {
            return Ok(match node {
                "/run/containerd" => self.runtime_directory()?,
                "/var/log/containers" => self.node.kubelet().container_logs().clone(),
                "/var/lib/coroner" | "/var/log/pods" => made(path)?,
                // The other two are mounted in it.
                "/var/log" => {
                    made(path.join("pods"))?;
                    made(path.join("containers"))?;
                    path
                }
                // Shared, as mount propagation wants it.
                "/var/lib/kubelet" | "/var/lib/containerd" => shared(&made(path)?)?,
                shared => shared.into(),
            });
        }
        if let Some(name) = volume["configMap"]["name"].as_str() {
            let map = self.api.object("configmaps", NAMESPACE, name).context("no such ConfigMap")?;
            let path = made(path)?;
            for item in volume["configMap"]["items"].as_array().context("items of the ConfigMap")? {
                let value = map["data"][text(&item["key"])?].as_str().context("a key that was not published")?;
                fs::write(path.join(text(&item["path"])?), value)?;
            }
            return Ok(path);
        }
        let path = made(path)?;
        if let Some(token) = volume["projected"]["sources"][0]["serviceAccountToken"]["path"].as_str() {
            fs::write(path.join(token), AGENT_TOKEN)?;
        }
        chown(&path, Some(0), Some(65532))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o2775))?;
        Ok(path)
    }

    /// containerd's directory. On a node of a cluster it stands on a shared mount, as mount propagation wants it.
    fn runtime_directory(&self) -> Result<PathBuf> {
        let directory = self.directory.join("run-containerd");
        fs::create_dir(&directory)?;
        let none = None::<&str>;
        mount(Some(&self.node.directory()), &directory, none, MsFlags::MS_BIND, none)
            .context("bind containerd's directory")?;
        mount(none, &directory, none, MsFlags::MS_SHARED, none).context("share containerd's directory")?;
        Ok(directory)
    }

    fn mounts(&self, pod: &str, workload: &Value) -> Result<Vec<Mount>> {
        let spec = &workload["spec"];
        let volumes = spec["template"]["spec"]["volumes"].as_array().into_iter().flatten().cloned();
        let claims =
            spec["volumeClaimTemplates"].as_array().into_iter().flatten().map(|claim| claim["metadata"].clone());
        let volumes: Vec<Value> = volumes.chain(claims).collect();
        let mut mounts = vec![Mount {
            container_path: "/etc/hosts".into(),
            host_path: self.directory.join("hosts").display().to_string(),
            ..Mount::default()
        }];
        for mount in container(workload)["volumeMounts"].as_array().context("volumeMounts")? {
            let volume =
                volumes.iter().find(|volume| volume["name"] == mount["name"]).context("a mount without a volume")?;
            let propagation = match mount["mountPropagation"].as_str() {
                Some("HostToContainer") => MountPropagation::PropagationHostToContainer,
                _ => MountPropagation::PropagationPrivate,
            };
            mounts.push(Mount {
                container_path: text(&mount["mountPath"])?,
                host_path: self.volume(pod, volume)?.display().to_string(),
                readonly: mount["readOnly"] == true,
                propagation: propagation.into(),
                ..Mount::default()
            });
        }
        Ok(mounts)
    }

    /// Makes the pod of a workload's template, and gives its container's id.
    async fn run(&mut self, workload: &Value) -> Result<String> {
        let (spec, container) = (&workload["spec"]["template"]["spec"], container(workload));
        let name = text(&container["name"])?;
        let cgroups = self.node.directory();
        let cgroups = cgroups.file_name().and_then(|name| name.to_str()).context("the node's name")?;
        let pid = if spec["hostPID"] == true { NamespaceMode::Node } else { NamespaceMode::Container };
        let namespaces = NamespaceOption {
            network: NamespaceMode::Node.into(),
            pid: pid.into(),
            ipc: NamespaceMode::Pod.into(),
            ..Default::default()
        };
        let uid = format!("c0de0000-0000-4000-8000-{:012x}", name.len());
        let sandbox = PodSandboxConfig {
            metadata: Some(PodSandboxMetadata {
                name: name.clone(),
                uid: uid.clone(),
                namespace: "coroner".into(),
                attempt: 0,
            }),
            log_directory: made(self.directory.join("logs").join(&name))?.display().to_string(),
            labels: [("pod.name", &*name), ("pod.namespace", "coroner"), ("pod.uid", &uid)]
                .map(|(key, value)| (format!("io.kubernetes.{key}"), value.to_owned()))
                .into(),
            linux: Some(LinuxPodSandboxConfig {
                cgroup_parent: format!("/{cgroups}/kubepods/burstable/pod{uid}"),
                security_context: Some(LinuxSandboxSecurityContext {
                    namespace_options: Some(namespaces.clone()),
                    ..Default::default()
                }),
                ..Default::default()
            }),
            ..Default::default()
        };
        let request = RunPodSandboxRequest { config: Some(sandbox.clone()), runtime_handler: String::new() };
        let pod_sandbox_id =
            self.runtime.run_pod_sandbox(request).await.context("RunPodSandbox")?.into_inner().pod_sandbox_id;

        let context = &container["securityContext"];
        let pod_context = &spec["securityContext"];
        let id =
            |key: &str| context[key].as_i64().or_else(|| pod_context[key].as_i64()).map(|value| Int64Value { value });
        let capabilities =
            |key: &str| context["capabilities"][key].as_array().into_iter().flatten().map(text).collect::<Result<_>>();
        ensure!(pod_context["seccompProfile"]["type"] == "RuntimeDefault");
        let mut envs = vec![];
        for variable in container["env"].as_array().into_iter().flatten() {
            let value = match variable["valueFrom"]["fieldRef"]["fieldPath"].as_str() {
                Some("spec.nodeName") => "node-1".into(),
                Some("status.hostIP" | "status.podIP") => "127.0.0.1".into(),
                _ => text(&variable["value"])?,
            };
            envs.push(KeyValue { key: text(&variable["name"])?, value });
        }
        if name == "aggregator" {
            let value = format!("/run/coroner/{KUBECONFIG}");
            envs.push(KeyValue { key: "CORONER_KUBECONFIG".to_owned(), value });
            // The stand-in has nothing to watch; it is there for the tokens.
            envs.push(KeyValue { key: "CORONER_CLUSTER_WATCH".to_owned(), value: "off".to_owned() });
        }
        let arguments = container["args"].as_array().context("args")?;
        let config = ContainerConfig {
            metadata: Some(ContainerMetadata { name: name.clone(), attempt: 0 }),
            image: Some(ImageSpec { image: image::NAME.into(), ..Default::default() }),
            command: container["command"].as_array().context("command")?.iter().map(text).collect::<Result<_>>()?,
            args: arguments.iter().map(|argument| Ok(self.argument(&name, &text(argument)?))).collect::<Result<_>>()?,
            envs,
            mounts: self.mounts(&name, workload)?,
            labels: HashMap::from([("io.kubernetes.container.name".to_owned(), name.clone())]),
            log_path: "0.log".into(),
            linux: Some(LinuxContainerConfig {
                resources: Some(LinuxContainerResources {
                    memory_limit_in_bytes: mebibytes(&container["resources"]["limits"]["memory"])?,
                    oom_score_adj: 0,
                    ..Default::default()
                }),
                security_context: Some(LinuxContainerSecurityContext {
                    capabilities: Some(Capability {
                        add_capabilities: capabilities("add")?,
                        drop_capabilities: capabilities("drop")?,
                        ..Default::default()
                    }),
                    namespace_options: Some(namespaces),
                    run_as_user: id("runAsUser"),
                    run_as_group: id("runAsGroup"),
                    supplemental_groups: pod_context["fsGroup"].as_i64().into_iter().collect(),
                    readonly_rootfs: context["readOnlyRootFilesystem"] == true,
                    no_new_privs: context["allowPrivilegeEscalation"] == false,
                    privileged: context["privileged"] == true,
                    masked_paths: MASKED.map(str::to_owned).into(),
                    readonly_paths: READ_ONLY.map(str::to_owned).into(),
                    seccomp: Some(SecurityProfile {
                        profile_type: ProfileType::RuntimeDefault.into(),
                        localhost_ref: String::new(),
                    }),
                    ..Default::default()
                }),
            }),
            ..Default::default()
        };
        let request = CreateContainerRequest { pod_sandbox_id, config: Some(config), sandbox_config: Some(sandbox) };
        let container_id =
            self.runtime.create_container(request).await.context("CreateContainer")?.into_inner().container_id;
        let request = StartContainerRequest { container_id: container_id.clone() };
        self.runtime.start_container(request).await.context("StartContainer")?;
        Ok(container_id)
    }

    /// Waits until the readiness probe and the liveness probe of the manifest pass.
    async fn probe(&self, workload: &Value) -> Result<()> {
        let container = container(workload);
        let name = text(&container["name"])?;
        for probe in ["livenessProbe", "readinessProbe"] {
            let grpc = &container[probe]["grpc"];
            let service = text(&grpc["service"])?;
            let port = self.port(&name, &format!(":{}", grpc["port"])).context("a probe of an unknown port")?;
            let channel = Channel::from_shared(format!("http://127.0.0.1:{port}"))?.connect_lazy();
            let what = format!("{probe} of {name}");
            let passed = until(&what, async || {
                let request = HealthCheckRequest { service: service.clone() };
                let answer = HealthClient::new(channel.clone()).check(request).await;
                Ok(answer.is_ok_and(|answer| answer.into_inner().status() == ServingStatus::Serving).then_some(()))
            });
            passed.await.with_context(|| self.log(&name))?;
        }
        Ok(())
    }

    /// What a pod has printed.
    fn log(&self, pod: &str) -> String {
        fs::read_to_string(self.directory.join("logs").join(pod).join("0.log"))
            .unwrap_or_else(|error| error.to_string())
    }

    /// How well the agent's sources see, by their names, once `seen` is satisfied with it.
    async fn sources(&mut self, aggregator_id: &str, seen: impl Fn(&BTreeMap<String, Value>) -> bool) -> Result<()> {
        let mut output = String::new();
        let waited = until("the agent's sources are as they shall be", async || {
            let answer = self.exec(aggregator_id, &["coroner", "status", "-o", "json"]).await?;
            output = String::from_utf8_lossy(&[answer.stdout, answer.stderr].concat()).into_owned();
            let status = serde_json::from_str::<Value>(&output).unwrap_or_default();
            let sources = status["nodes"][0]["sources"].as_array().into_iter().flatten();
            let health = sources.map(|source| Ok((text(&source["source"])?, source["health"].clone())));
            Ok(seen(&health.collect::<Result<_>>()?).then_some(()))
        });
        waited.await.with_context(|| format!("answered: {output}\n{}", self.log("agent")))
    }

    /// Ends a pod's container as the kubelet does.
    async fn stop(&mut self, container_id: String) -> Result<()> {
        self.runtime
            .stop_container(StopContainerRequest { container_id, timeout: 30 })
            .await
            .context("StopContainer")?;
        Ok(())
    }

    /// `kubectl exec`.
    async fn exec(&mut self, container_id: &str, command: &[&str]) -> Result<ExecSyncResponse> {
        let cmd = command.iter().map(|&word| word.to_owned()).collect();
        let request = ExecSyncRequest { container_id: container_id.to_owned(), cmd, timeout: 60 };
        Ok(self.runtime.exec_sync(request).await.context("ExecSync")?.into_inner())
    }
}

/// Makes a directory a shared mount.
fn shared(directory: &Path) -> Result<PathBuf> {
    let none = None::<&str>;
    mount(Some(directory), directory, none, MsFlags::MS_BIND, none).context("bind a directory onto itself")?;
    mount(none, directory, none, MsFlags::MS_SHARED, none).context("share a directory")?;
    Ok(directory.to_owned())
}

fn text(value: &Value) -> Result<String> {
    value.as_str().map(str::to_owned).with_context(|| format!("{value} is no string"))
}

fn mebibytes(value: &Value) -> Result<i64> {
    Ok(text(value)?.strip_suffix("Mi").context("a limit in Mi")?.parse::<i64>()? << 20)
}

fn made(path: PathBuf) -> Result<PathBuf> {
    fs::create_dir_all(&path).with_context(|| format!("create {}", path.display()))?;
    Ok(path)
}

/// Starts what the base has, and gives the ids of aggregator and agent.
async fn start(cluster: &mut Cluster<'_>, agent: &Value) -> Result<(String, String)> {
    let aggregator = stateful_set()?;
    let aggregator_id = cluster.run(&aggregator).await?;
    cluster.probe(&aggregator).await?;
    let agent_id = cluster.run(agent).await?;
    cluster.probe(agent).await?;
    Ok((aggregator_id, agent_id))
}

#[tokio::test]
async fn the_pods_of_the_base_explain_an_oom_kill_with_the_privileges_they_have() -> Result<()> {
    let image = Image::build()?;
    let node = Node::start().await?;
    let mut cluster = Cluster::new(&node, &image).await?;
    let (aggregator_id, _) = start(&mut cluster, &daemon_set()?).await?;

    let victim = PodSpec::new("victim", [ContainerSpec::new("eater", ["victim", "eat", "64"]).memory_limit(32 * MIB)]);
    node.kubelet().run(&victim).await?;

    let mut output = String::new();
    let explained = until("the death is explained for certain in the aggregator's pod", async || {
        let answer = cluster.exec(&aggregator_id, &["coroner", "why", "shop/victim", "-o", "json"]).await?;
        output = String::from_utf8_lossy(&[answer.stdout, answer.stderr].concat()).into_owned();
        let diagnosis = output.lines().next().and_then(|line| serde_json::from_str::<Value>(line).ok());
        let certain = |diagnosis: &Value| diagnosis["fatal"] == true && diagnosis["confidence"] == "CONFIDENCE_CERTAIN";
        Ok(diagnosis.filter(certain))
    });
    let explained = explained.await;
    let status = cluster.exec(&aggregator_id, &["coroner", "status", "-o", "json"]).await?;
    let status = String::from_utf8_lossy(&status.stdout).into_owned();
    let diagnosis = explained.with_context(|| {
        format!("answered: {output}\n{status}\n{}\n{}", cluster.log("agent"), cluster.log("aggregator"))
    })?;
    ensure!(diagnosis["cause"] == "CAUSE_OOM_CONTAINER_LIMIT", "{diagnosis:#}");
    let missing = diagnosis["missingSources"].as_array().cloned().unwrap_or_default();
    for granted in ["kernel_log", "signals", "cgroups", "cri", "containerd", "procfs"] {
        ensure!(!missing.iter().any(|source| source == granted), "{granted} is missing: {diagnosis:#}");
    }
    Ok(())
}

#[tokio::test]
async fn the_full_overlay_opens_every_source() -> Result<()> {
    let image = Image::build()?;
    let node = Node::start().await?;
    let mut cluster = Cluster::new(&node, &image).await?;
    let (aggregator_id, agent_id) = start(&mut cluster, &full_daemon_set()?).await?;
    let open = ["cgroups", "cri", "containerd", "signals", "procfs", "process_events", "container_logs"];
    let healths = |health: &BTreeMap<String, Value>| {
        // No container that is not privileged can open /dev/kmsg; syslog(2) is asked instead.
        health.get("kernel_log") == Some(&json!("SOURCE_HEALTH_DEGRADED"))
            && open.iter().all(|&source| health.get(source) == Some(&json!("SOURCE_HEALTH_OK")))
    };
    cluster.sources(&aggregator_id, healths).await?;

    // A recorder in the agent's container observes what the agent does. Process 1 is the node's there.
    let answer = cluster.exec(&agent_id, &["coroner", "record", "--for", "3s", "-f", "-"]).await?;
    ensure!(answer.exit_code == 0, "{}", String::from_utf8_lossy(&answer.stderr));
    let archive = cluster.directory.join("case.tar.gz");
    fs::write(&archive, &answer.stdout)?;
    let rows = image::run(Command::new("tar").arg("-xzOf").arg(archive).args(["--wildcards", "*observed*"]))?;
    let rows = rows.lines().map(serde_json::from_str::<Value>).collect::<Result<Vec<_>, _>>()?;
    for source in open {
        let observes = |row: &&Value| row["fact"]["health"][0] == source && row["fact"]["health"][1] == "ok";
        ensure!(rows.iter().any(|row| observes(&row)), "{source} was not recorded: {rows:?}");
    }
    let of_container = |row: &Value| row["fact"]["container"].to_string().contains(&agent_id);
    ensure!(rows.iter().any(of_container), "the runtime was not asked: {rows:?}");
    cluster.stop(agent_id).await
}
