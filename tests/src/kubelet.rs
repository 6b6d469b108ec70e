//! The kubelet's part: makes pods and containers through the CRI, with the labels, annotations, cgroups and limits that
//! a kubelet gives them.
//!
//! Mirrors `pkg/kubelet/kuberuntime/{labels,kuberuntime_sandbox,kuberuntime_container_linux}.go` and
//! `pkg/kubelet/cm/{pod_container_manager_linux,helpers_linux}.go` of Kubernetes 1.36.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};
use k8s_cri::v1::runtime_service_client::RuntimeServiceClient;
use k8s_cri::v1::{
    ContainerConfig, ContainerMetadata, ContainerState, ContainerStatus, ContainerStatusRequest,
    CreateContainerRequest, ImageSpec, LinuxContainerConfig, LinuxContainerResources, LinuxContainerSecurityContext,
    LinuxPodSandboxConfig, LinuxSandboxSecurityContext, NamespaceMode, NamespaceOption, PodSandboxConfig,
    PodSandboxMetadata, RemoveContainerRequest, RemovePodSandboxRequest, RunPodSandboxRequest, StartContainerRequest,
    StopContainerRequest, StopPodSandboxRequest,
};
use tonic::transport::Channel;

use crate::cgroup::{Cgroup, Version};
use crate::image;

/// What a container shall be.
#[derive(Clone, Debug)]
pub struct ContainerSpec {
    pub(crate) name: String,
    pub(crate) command: Vec<String>,
    pub(crate) memory_limit: Option<u64>,
    host_pid: bool,
    single_process_oom_kill: bool,
    grace_period_seconds: u64,
}

impl ContainerSpec {
    /// A container that runs `command`.
    pub fn new<const N: usize>(name: &str, command: [&str; N]) -> Self {
        Self {
            name: name.to_owned(),
            command: command.map(str::to_owned).to_vec(),
            memory_limit: None,
            host_pid: false,
            single_process_oom_kill: false,
            grace_period_seconds: 30,
        }
    }

    /// With a memory limit, in bytes.
    #[must_use]
    pub fn memory_limit(self, bytes: u64) -> Self {
        Self { memory_limit: Some(bytes), ..self }
    }

    /// In the node's pid namespace, where its main process is not PID 1 and signals have their default effect.
    #[must_use]
    pub fn host_pid(self) -> Self {
        Self { host_pid: true, ..self }
    }

    /// As under a kubelet with `singleProcessOOMKill`: the kernel kills one process, not the whole container. Cgroup v1
    /// knows nothing else.
    #[must_use]
    pub fn single_process_oom_kill(self) -> Self {
        Self { single_process_oom_kill: true, ..self }
    }
}

/// What a pod shall be.
#[derive(Clone, Debug)]
pub struct PodSpec {
    name: String,
    containers: Vec<ContainerSpec>,
    memory_limit: Option<u64>,
}

impl PodSpec {
    /// A pod with these containers.
    pub fn new<const N: usize>(name: &str, containers: [ContainerSpec; N]) -> Self {
        Self { name: name.to_owned(), containers: containers.into(), memory_limit: None }
    }

    /// With a memory limit of the pod's own (pod-level resources), in bytes.
    #[must_use]
    pub fn memory_limit(self, bytes: u64) -> Self {
        Self { memory_limit: Some(bytes), ..self }
    }

    /// What the kubelet writes to the pod's cgroup: the pod's own limit, or the sum of the containers' if all have one.
    fn cgroup_limit(&self) -> Option<u64> {
        self.memory_limit.or_else(|| self.containers.iter().map(|container| container.memory_limit).sum())
    }

    fn quality_of_service(&self) -> &'static str {
        let limited =
            self.memory_limit.is_some() || self.containers.iter().any(|container| container.memory_limit.is_some());
        if limited { "burstable" } else { "besteffort" }
    }
}

/// A pod that was made.
#[derive(Clone, Debug)]
pub struct Pod {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Uid.
    pub uid: String,
    /// The id of its sandbox.
    pub sandbox_id: String,
    /// Its containers, in the order of the spec.
    pub containers: Vec<Container>,
}

impl Pod {
    /// Its only container.
    ///
    /// # Panics
    /// If it has another number of them.
    pub fn only_container(&self) -> &Container {
        let [container] = self.containers.as_slice() else {
            panic!("{} has {} containers", self.name, self.containers.len())
        };
        container
    }
}

/// A container that was made.
#[derive(Clone, Debug)]
pub struct Container {
    /// Name.
    pub name: String,
    /// The runtime's id.
    pub id: String,
    /// The error of the runtime if it could not be started.
    pub start_error: Option<String>,
}

/// Plays the kubelet.
#[derive(Debug)]
pub struct Kubelet {
    runtime: RuntimeServiceClient<Channel>,
    kubepods: Cgroup,
    logs: PathBuf,
    container_logs: PathBuf,
    uid_prefix: String,
    pods: AtomicU32,
}

impl Kubelet {
    pub(crate) fn new(runtime: Channel, kubepods: Cgroup, directory: PathBuf) -> Result<Self> {
        let (logs, container_logs) = (directory.join("pods"), directory.join("containers"));
        for path in [&logs, &container_logs] {
            fs::create_dir(path).with_context(|| format!("creating {path:?}"))?;
        }
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let uid_prefix = format!("{:08x}-{:04x}-", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let runtime = RuntimeServiceClient::new(runtime);
        Ok(Self { runtime, kubepods, logs, container_logs, uid_prefix, pods: AtomicU32::new(1) })
    }

    /// Its stand-in for /var/log/containers.
    pub fn container_logs(&self) -> &PathBuf {
        &self.container_logs
    }

    /// How the uids of its pods begin, and of no other's.
    pub fn uid_prefix(&self) -> &str {
        &self.uid_prefix
    }

    /// Creates a pod and starts its containers. A container that does not start is not an error; it has the reason.
    ///
    /// # Errors
    /// What the runtime or the kernel refused.
    pub async fn run(&self, spec: &PodSpec) -> Result<Pod> {
        let mut runtime = self.runtime.clone();
        let uid = format!("{}4a11-8000-{:012x}", self.uid_prefix, self.pods.fetch_add(1, Ordering::Relaxed));
        let namespace = "shop".to_owned();
        let cgroup = self.kubepods.child(spec.quality_of_service()).child(&format!("pod{uid}"));
        cgroup.create()?;
        if let Some(limit) = spec.cgroup_limit() {
            cgroup.set_memory_limit(limit)?;
        }
        let labels = labels([("pod.name", &spec.name), ("pod.namespace", &namespace), ("pod.uid", &uid)]);
        let log_directory = self.logs.join(format!("{namespace}_{}_{uid}", spec.name));
        fs::create_dir(&log_directory).with_context(|| format!("creating {log_directory:?}"))?;
        let sandbox = PodSandboxConfig {
            metadata: Some(PodSandboxMetadata {
                name: spec.name.clone(),
                uid: uid.clone(),
                namespace: namespace.clone(),
                attempt: 0,
            }),
            log_directory: log_directory.display().to_string(),
            labels: labels.clone(),
            annotations: HashMap::from([("kubernetes.io/config.source".to_owned(), "api".to_owned())]),
            linux: Some(LinuxPodSandboxConfig {
                cgroup_parent: cgroup.path().to_owned(),
                security_context: Some(LinuxSandboxSecurityContext {
                    namespace_options: Some(namespaces(false)),
                    ..Default::default()
                }),
                ..Default::default()
            }),
            ..Default::default()
        };
        let request = RunPodSandboxRequest { config: Some(sandbox.clone()), runtime_handler: String::new() };
        let answer =
            runtime.run_pod_sandbox(request).await.with_context(|| format!("RunPodSandbox of {}", spec.name))?;
        let mut pod = Pod {
            namespace,
            name: spec.name.clone(),
            uid,
            sandbox_id: answer.into_inner().pod_sandbox_id,
            containers: vec![],
        };
        for container in &spec.containers {
            let container = self.run_container(&pod, &sandbox, container).await?;
            pod.containers.push(container);
        }
        Ok(pod)
    }

    async fn run_container(&self, pod: &Pod, sandbox: &PodSandboxConfig, spec: &ContainerSpec) -> Result<Container> {
        let mut runtime = self.runtime.clone();
        let log_path = format!("{}/0.log", spec.name);
        let log_directory = PathBuf::from(&sandbox.log_directory).join(&spec.name);
        fs::create_dir(&log_directory).with_context(|| format!("creating {log_directory:?}"))?;
        let mut container_labels = sandbox.labels.clone();
        container_labels.extend(labels([("container.name", &spec.name)]));
        let config = ContainerConfig {
            metadata: Some(ContainerMetadata { name: spec.name.clone(), attempt: 0 }),
            image: Some(ImageSpec {
                image: image::NAME.to_owned(),
                user_specified_image: image::NAME.to_owned(),
                ..Default::default()
            }),
            command: spec.command.clone(),
            labels: container_labels,
            annotations: annotations(spec),
            log_path: log_path.clone(),
            linux: Some(LinuxContainerConfig {
                resources: Some(resources(spec)?),
                security_context: Some(LinuxContainerSecurityContext {
                    namespace_options: Some(namespaces(spec.host_pid)),
                    ..Default::default()
                }),
            }),
            ..Default::default()
        };
        let request = CreateContainerRequest {
            pod_sandbox_id: pod.sandbox_id.clone(),
            config: Some(config),
            sandbox_config: Some(sandbox.clone()),
        };
        let answer =
            runtime.create_container(request).await.with_context(|| format!("CreateContainer of {}", spec.name))?;
        let id = answer.into_inner().container_id;
        let link = self.container_logs.join(format!("{}_{}_{}-{id}.log", pod.name, pod.namespace, spec.name));
        symlink(PathBuf::from(&sandbox.log_directory).join(log_path), &link)
            .with_context(|| format!("linking {link:?}"))?;
        let started = runtime.start_container(StartContainerRequest { container_id: id.clone() }).await;
        Ok(Container {
            name: spec.name.clone(),
            id,
            start_error: started.err().map(|status| status.message().to_owned()),
        })
    }

    /// What the runtime reports about a container.
    ///
    /// # Errors
    /// What the runtime refused.
    pub async fn status(&self, container: &Container) -> Result<ContainerStatus> {
        let request = ContainerStatusRequest { container_id: container.id.clone(), verbose: false };
        let answer = self.runtime.clone().container_status(request).await.context("ContainerStatus")?;
        answer.into_inner().status.context("ContainerStatus without a status")
    }

    /// The pid of a container's main process, in the node's pid namespace.
    ///
    /// # Errors
    /// What the runtime refused, or that it does not report it.
    pub async fn pid(&self, container: &Container) -> Result<i32> {
        let request = ContainerStatusRequest { container_id: container.id.clone(), verbose: true };
        let mut answer = self.runtime.clone().container_status(request).await.context("ContainerStatus")?.into_inner();
        let info = answer.info.remove("info").context("ContainerStatus without info")?;
        let info: serde_json::Value = serde_json::from_str(&info).context("reading ContainerStatus' info")?;
        let pid = info["pid"].as_i64().context("ContainerStatus' info without a pid")?;
        i32::try_from(pid).context("a pid is an i32")
    }

    /// Waits until a container has ended, and gives the runtime's word about it.
    ///
    /// # Errors
    /// What the runtime refused, or that it does not end.
    pub async fn ended(&self, container: &Container) -> Result<ContainerStatus> {
        crate::until(&format!("container {} ends", container.name), async || {
            let status = self.status(container).await?;
            Ok((status.state == ContainerState::ContainerExited as i32).then_some(status))
        })
        .await
    }

    /// Stops a container as the kubelet does when its pod is deleted.
    ///
    /// # Errors
    /// What the runtime refused.
    pub async fn stop(&self, container: &Container, grace_seconds: u32) -> Result<()> {
        let request = StopContainerRequest { container_id: container.id.clone(), timeout: grace_seconds.into() };
        self.runtime.clone().stop_container(request).await.context("StopContainer")?;
        Ok(())
    }

    /// Removes a pod at once.
    ///
    /// # Errors
    /// What the runtime refused.
    pub async fn remove(&self, pod: &Pod) -> Result<()> {
        let mut runtime = self.runtime.clone();
        let pod_sandbox_id = pod.sandbox_id.clone();
        for container in &pod.containers {
            let container_id = container.id.clone();
            runtime.remove_container(RemoveContainerRequest { container_id }).await.context("RemoveContainer")?;
        }
        runtime
            .stop_pod_sandbox(StopPodSandboxRequest { pod_sandbox_id: pod_sandbox_id.clone() })
            .await
            .context("StopPodSandbox")?;
        runtime.remove_pod_sandbox(RemovePodSandboxRequest { pod_sandbox_id }).await.context("RemovePodSandbox")?;
        Ok(())
    }
}

fn labels<const N: usize>(pairs: [(&str, &String); N]) -> HashMap<String, String> {
    pairs.map(|(key, value)| (format!("io.kubernetes.{key}"), value.clone())).into()
}

fn annotations(spec: &ContainerSpec) -> HashMap<String, String> {
    let pairs = [
        ("hash", "5eed".to_owned()),
        ("restartCount", "0".to_owned()),
        ("terminationMessagePath", "/dev/termination-log".to_owned()),
        ("terminationMessagePolicy", "File".to_owned()),
    ];
    let mut annotations: HashMap<_, _> =
        pairs.map(|(key, value)| (format!("io.kubernetes.container.{key}"), value)).into();
    annotations.insert("io.kubernetes.pod.terminationGracePeriod".to_owned(), spec.grace_period_seconds.to_string());
    annotations
}

/// Host network, so that no CNI plugin is needed.
fn namespaces(host_pid: bool) -> NamespaceOption {
    let pid = if host_pid { NamespaceMode::Node } else { NamespaceMode::Container };
    NamespaceOption {
        network: NamespaceMode::Node.into(),
        pid: pid.into(),
        ipc: NamespaceMode::Pod.into(),
        ..Default::default()
    }
}

fn resources(spec: &ContainerSpec) -> Result<LinuxContainerResources> {
    let mut unified = HashMap::new();
    if Version::here() == Version::V2 && !spec.single_process_oom_kill {
        unified.insert("memory.oom.group".to_owned(), "1".to_owned());
    }
    Ok(LinuxContainerResources {
        cpu_shares: 2,
        memory_limit_in_bytes: i64::try_from(spec.memory_limit.unwrap_or(0)).context("a limit in bytes is an i64")?,
        oom_score_adj: if spec.memory_limit.is_some() { 999 } else { 1000 },
        unified,
        ..Default::default()
    })
}
