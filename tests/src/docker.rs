//! A node whose runtime is Docker: a real dockerd, and the tests in the place of kubelet and cri-dockerd, which stands
//! between the two.
//!
//! Mirrors cri-dockerd's `core/{naming,container_create,sandbox_helpers,helpers_linux}.go`.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, ensure};
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::UnixStream;

use crate::coroner::{Coroner, Surroundings};
use crate::daemon::Daemon;
use crate::image;
use crate::kubelet::{Container, ContainerSpec, Pod};
use crate::scratch::Scratch;

/// The node. Dropped, it is gone with all that ran on it.
#[derive(Debug)]
pub struct DockerNode {
    daemon: Daemon,
    uid_prefix: String,
    pods: AtomicU32,
    scratch: Scratch,
}

impl DockerNode {
    /// Starts one.
    ///
    /// # Errors
    /// What could not be had: root, dockerd, containerd, runc, gcc, busybox-static.
    pub async fn start() -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let scratch = Scratch::new()?;
        let daemon = serve(&scratch).await?;
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let uid_prefix = format!("{:08x}-{count:04x}-", std::process::id());
        let node = Self { daemon, uid_prefix, pods: AtomicU32::new(1), scratch };
        let archive = image::archive(&node.scratch.directory())?;
        let archive = fs::read(&archive).with_context(|| format!("reading {archive:?}"))?;
        node.send("POST", "/images/load", "application/x-tar", archive.into()).await?;
        Ok(node)
    }

    /// Ends dockerd. The containers go on.
    ///
    /// # Errors
    /// That it does not end.
    pub fn stop_docker(&mut self) -> Result<()> {
        self.daemon.stop().map(drop)
    }

    /// Starts dockerd again.
    ///
    /// # Errors
    /// That it does not serve.
    pub async fn start_docker(&mut self) -> Result<()> {
        self.daemon = serve(&self.scratch).await?;
        Ok(())
    }

    /// Its socket, as the agent names it.
    pub fn endpoint(&self) -> String {
        format!("unix://{}", socket(&self.scratch.directory()).display())
    }

    /// Agent and aggregator beside it, once the agent's sources see. The agent knows Docker's socket and no other.
    ///
    /// # Errors
    /// What did not start, with its log.
    pub async fn coroner(&self) -> Result<Coroner> {
        let directory = self.scratch.directory();
        let endpoint = self.endpoint();
        let agent = ["--docker-endpoint", &endpoint, "--cri-endpoint", "none", "--containerd-endpoint", "none"];
        let surroundings = Surroundings {
            agent: agent.map(str::to_owned).into(),
            aggregator: Vec::new(),
            sources: vec!["kernel_log", "cgroups", "docker"],
            uid_prefix: self.uid_prefix.clone(),
        };
        Coroner::start_in(directory, &self.scratch.daemons(), surroundings).await
    }

    /// Creates a pod of one container and starts it. A failure to start is not an error; the container has the reason.
    ///
    /// # Errors
    /// What Docker or the kernel refused.
    pub async fn run(&self, name: &str, spec: &ContainerSpec) -> Result<Pod> {
        self.run_labelled(name, spec, &[]).await
    }

    /// The same, with labels that its image brings.
    ///
    /// # Errors
    /// The same.
    pub async fn run_labelled(&self, name: &str, spec: &ContainerSpec, image: &[(&str, &str)]) -> Result<Pod> {
        let uid = format!("{}4a11-8000-{:012x}", self.uid_prefix, self.pods.fetch_add(1, Ordering::Relaxed));
        let namespace = "shop".to_owned();
        let quality_of_service = if spec.memory_limit.is_some() { "burstable" } else { "besteffort" };
        let cgroup = self.scratch.kubepods().child(quality_of_service).child(&format!("pod{uid}"));
        cgroup.create()?;
        if let Some(limit) = spec.memory_limit {
            cgroup.set_memory_limit(limit)?;
        }
        let labels = |container: &str, kind: &str| {
            let labels = [
                ("io.kubernetes.pod.name", name),
                ("io.kubernetes.pod.namespace", &namespace),
                ("io.kubernetes.pod.uid", &uid),
                ("io.kubernetes.container.name", container),
                ("io.kubernetes.docker.type", kind),
                ("annotation.io.kubernetes.container.restartCount", "0"),
                ("annotation.io.kubernetes.pod.terminationGracePeriod", "30"),
            ];
            HashMap::<String, String>::from(labels.map(|(key, value)| (key.to_owned(), value.to_owned())))
        };
        let named = |container: &str| format!("k8s_{container}_{name}_{namespace}_{uid}_0");
        let sandbox = json!({
            "Image": image::PAUSE,
            "Labels": labels("POD", "podsandbox"),
            "HostConfig": {"CgroupParent": cgroup.path(), "NetworkMode": "host", "OomScoreAdj": 0},
        });
        let sandbox_id = self.create(&named("POD"), &sandbox).await?;
        self.start_container(&sandbox_id).await?;

        let mut all = labels(&spec.name, "container");
        all.insert("io.kubernetes.sandbox.id".to_owned(), sandbox_id.clone());
        all.extend(image.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        let limit = spec.memory_limit.unwrap_or(0);
        let container = json!({
            "Image": image::NAME,
            "Entrypoint": spec.command,
            "Labels": all,
            "HostConfig": {
                "CgroupParent": cgroup.path(),
                "NetworkMode": format!("container:{sandbox_id}"),
                "Memory": limit,
                "MemorySwap": limit,
                "OomScoreAdj": if spec.memory_limit.is_some() { 999 } else { 1000 },
            },
        });
        let id = self.create(&named(&spec.name), &container).await?;
        let start_error = self.start_container(&id).await.err().map(|error| error.to_string());
        let container = Container { name: spec.name.clone(), id, start_error };
        Ok(Pod { namespace, name: name.to_owned(), uid, sandbox_id, containers: vec![container] })
    }

    /// The pid of a container's main process.
    ///
    /// # Errors
    /// What Docker refused, or that it does not run.
    pub async fn pid(&self, container: &Container) -> Result<i32> {
        let inspected = self.ask("GET", &format!("/containers/{}/json", container.id), None).await?;
        let pid = inspected["State"]["Pid"].as_i64().filter(|pid| *pid > 0).context("it does not run")?;
        i32::try_from(pid).context("a pid is an i32")
    }

    /// Stops a container as cri-dockerd does when its pod is deleted.
    ///
    /// # Errors
    /// What Docker refused.
    pub async fn stop(&self, container: &Container, grace_seconds: u32) -> Result<()> {
        self.ask("POST", &format!("/containers/{}/stop?t={grace_seconds}", container.id), None).await.map(drop)
    }

    /// `docker kill`.
    ///
    /// # Errors
    /// What Docker refused.
    pub async fn kill(&self, container: &Container) -> Result<()> {
        self.ask("POST", &format!("/containers/{}/kill", container.id), None).await.map(drop)
    }

    /// Removes a container.
    ///
    /// # Errors
    /// What Docker refused.
    pub async fn remove(&self, container: &Container) -> Result<()> {
        self.ask("DELETE", &format!("/containers/{}", container.id), None).await.map(drop)
    }

    async fn create(&self, name: &str, container: &Value) -> Result<String> {
        let created = self.ask("POST", &format!("/containers/create?name={name}"), Some(container)).await?;
        created["Id"].as_str().map(str::to_owned).context("a container without an id")
    }

    async fn start_container(&self, id: &str) -> Result<()> {
        self.ask("POST", &format!("/containers/{id}/start"), None).await.map(drop)
    }

    async fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let answer = self.send(method, path, "application/json", body.into()).await?;
        if answer.is_empty() { Ok(Value::Null) } else { Ok(serde_json::from_slice(&answer)?) }
    }

    async fn send(&self, method: &str, path: &str, kind: &str, body: Bytes) -> Result<Bytes> {
        let stream = UnixStream::connect(socket(&self.scratch.directory())).await.context("connecting to dockerd")?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let request = Request::builder().method(method).uri(path).header("host", "docker").header("content-type", kind);
        let answer = sender.send_request(request.body(Full::new(body))?).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        ensure!(status.is_success() || status.as_u16() == 304, "{method} {path}: {}", String::from_utf8_lossy(&body));
        Ok(body)
    }
}

fn socket(directory: &Path) -> PathBuf {
    directory.join("docker.sock")
}

/// Starts dockerd, which starts a containerd of its own, and waits until it serves.
///
/// - `vfs`: copies the image (3 MB) for each container and so needs no overlay file system.
/// - `live-restore`: without it dockerd ends its containers with itself, and would start none of them again.
/// - The rest: it leaves the machine's network as it is, and reads no configuration of the machine's own Docker.
async fn serve(scratch: &Scratch) -> Result<Daemon> {
    let directory = scratch.directory();
    let at = |name: &str| directory.join(name).display().to_string();
    fs::write(
        directory.join("docker.json"),
        json!({"live-restore": true, "deprecated-key-path": at("key.json")}).to_string(),
    )
    .context("configuring dockerd")?;
    let arguments = [
        format!("--host=unix://{}", at("docker.sock")),
        format!("--config-file={}", at("docker.json")),
        format!("--data-root={}", at("docker")),
        format!("--exec-root={}", at("exec")),
        format!("--pidfile={}", at("docker.pid")),
        "--storage-driver=vfs".to_owned(),
        "--bridge=none".to_owned(),
        "--iptables=false".to_owned(),
        "--ip6tables=false".to_owned(),
        "--ip-forward=false".to_owned(),
        "--oom-score-adjust=0".to_owned(),
    ];
    let log = directory.join("docker.log");
    let mut daemon = Daemon::start(Path::new("dockerd"), &arguments, &scratch.daemons(), log)?;
    crate::until("dockerd serves", async || {
        daemon.check()?;
        Ok(UnixStream::connect(socket(&directory)).await.ok())
    })
    .await?;
    Ok(daemon)
}
