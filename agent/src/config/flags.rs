//! The flags, each also an environment variable, and what follows from those of the node.

use std::{
    ffi::OsString,
    io,
    net::{IpAddr, SocketAddr},
    os::unix::ffi::OsStringExt,
    path::PathBuf,
};

use clap::Parser;
use coroner_diagnosis::messages::Language;
use coroner_runtime::{
    logging,
    problem::Problem,
    usage::{self, Stop},
    version::version,
};

use super::{KUBELET_PORT, NodeConfig};
use crate::{
    host::HostRoot,
    messages::{self, CHINESE, problem},
    sources::{Settings, containerd, disk, kubelet, logs, socket::Socket},
};

/// The smallest outbox that makes sense: a few hundred records.
const OUTBOX_MIN_BYTES: u64 = 1 << 20;

/// Sockets on which a CRI runtime is known to listen, below the node's root: the containerd of K3s and RKE2, of K0s and
/// of MicroK8s, CRI-O, cri-dockerd (also that in K3s), and at last any other containerd, which may be that of Docker.
pub(super) const CRI_SOCKETS: [&str; 7] = [
    "run/k3s/containerd/containerd.sock",
    "run/k3s/cri-dockerd/cri-dockerd.sock",
    "run/k0s/containerd.sock",
    "var/snap/microk8s/common/run/containerd.sock",
    "run/crio/crio.sock",
    "run/cri-dockerd.sock",
    "run/containerd/containerd.sock",
];

/// Docker's socket below the node's root. /var/run, where clients look for it, is a link to /run on the node, and may
/// not be mounted into the agent's container.
const DOCKER_SOCKET: &str = "run/docker.sock";

/// Docker's directory of containers below the node's root.
const DOCKER_LOGS: &str = "var/lib/docker/containers";

/// Observes one node, and reports to the aggregator why its containers and pods ended
#[derive(Debug, Parser)]
#[command(name = "coroner-agent", version = version())]
pub(super) struct Flags {
    #[command(flatten)]
    pub(super) node: NodeFlags,

    /// The address of the aggregator: https://HOST:PORT, http://HOST:PORT or unix:///PATH
    #[arg(long, env = "CORONER_AGGREGATOR", value_name = "URL")]
    pub(super) aggregator: String,

    /// The CA certificates that sign the aggregator's certificate (PEM); required for https://
    #[arg(long, env = "CORONER_TLS_CA", value_name = "FILE")]
    pub(super) tls_ca: Option<PathBuf>,

    /// The agent's client certificate (PEM)
    #[arg(long, env = "CORONER_TLS_CERT", value_name = "FILE", requires = "tls_key")]
    pub(super) tls_cert: Option<PathBuf>,

    /// The private key of the client certificate (PEM)
    #[arg(long, env = "CORONER_TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    pub(super) tls_key: Option<PathBuf>,

    /// A file with a bearer token, as the kubelet projects it; read for each push
    #[arg(long, env = "CORONER_TOKEN_FILE", value_name = "FILE")]
    pub(super) token_file: Option<PathBuf>,

    /// Allow http:// to another machine, where records can be read and changed on their way
    #[arg(long, env = "CORONER_INSECURE")]
    pub(super) insecure: bool,

    /// The outbox: the file that keeps records until the aggregator has stored them
    #[arg(long, env = "CORONER_OUTBOX", value_name = "FILE", default_value = "/var/lib/coroner/outbox.db")]
    pub(super) outbox: PathBuf,

    /// The maximum size of the outbox
    #[arg(long, env = "CORONER_OUTBOX_MAX_BYTES", value_name = "BYTES", default_value_t = 64 << 20,
          value_parser = clap::value_parser!(u64).range(OUTBOX_MIN_BYTES..))]
    pub(super) outbox_max_bytes: u64,

    /// The address for health probes (grpc.health.v1, services `liveness` and `readiness`) and GET /metrics; no TLS
    #[arg(long, env = "CORONER_HEALTH_LISTEN", value_name = "IP:PORT")]
    pub(super) health_listen: Option<SocketAddr>,

    /// The address of the agent's pod, at which other agents probe its health port [default: none]
    #[arg(long, env = "POD_IP", value_name = "IP")]
    pub(super) pod_ip: Option<IpAddr>,

    /// The format of the log on stderr
    #[arg(long, env = "CORONER_LOG_FORMAT", value_name = "FORMAT", default_value = "text")]
    pub(super) log_format: logging::Format,
}

/// How the node is observed.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Node")]
pub(super) struct NodeFlags {
    /// The name of the Node object [default: the hostname]
    #[arg(long, env = "NODE_NAME", value_name = "NAME")]
    node_name: Option<String>,

    /// The uid of the cluster: that of its namespace kube-system
    #[arg(long, env = "CORONER_CLUSTER_UID", value_name = "UID", default_value = "", hide_default_value = true)]
    cluster_uid: String,

    /// The directory below which the node's proc, sys, dev, etc, run and var/log are mounted
    #[arg(long, env = "CORONER_HOST_ROOT", value_name = "DIR", default_value = "/")]
    host_root: PathBuf,

    /// The directory in which the kubelet links the logs of containers [default: var/log/containers of the node]
    #[arg(long, env = "CORONER_CONTAINER_LOGS", value_name = "DIR")]
    container_logs: Option<PathBuf>,

    /// The CRI socket of the container runtime: unix:///PATH, or `none` to switch it off [default: the first known one
    /// that exists]
    #[arg(long, env = "CORONER_CRI_ENDPOINT", value_name = "ENDPOINT", value_parser = parse_socket)]
    cri_endpoint: Option<Socket>,

    /// The socket of containerd: unix:///PATH, or `none` to switch it off [default: the CRI socket]
    #[arg(long, env = "CORONER_CONTAINERD_ENDPOINT", value_name = "ENDPOINT", value_parser = parse_socket)]
    containerd_endpoint: Option<Socket>,

    /// The namespace of containerd in which the CRI keeps its containers
    #[arg(long, env = "CORONER_CONTAINERD_NAMESPACE", value_name = "NAME", default_value = "k8s.io")]
    containerd_namespace: String,

    /// The socket of Docker: unix:///PATH, or `none` to switch it off [default: /run/docker.sock of the node, if it
    /// exists]
    #[arg(long, env = "CORONER_DOCKER_ENDPOINT", value_name = "ENDPOINT", value_parser = parse_socket)]
    docker_endpoint: Option<Socket>,

    /// Docker's directory of containers, with their logs [default: var/lib/docker/containers of the node]
    #[arg(long, env = "CORONER_DOCKER_LOGS", value_name = "DIR")]
    docker_logs: Option<PathBuf>,

    /// How many of the last log lines of a failed container are reported, with secrets removed; 0 for none
    #[arg(long, env = "CORONER_LOG_LINES", value_name = "LINES", default_value_t = logs::LINES)]
    log_lines: usize,

    /// The kubeconfig to reach the API server with [default: the ServiceAccount of the pod]
    #[arg(long, env = "CORONER_KUBECONFIG", value_name = "FILE")]
    kubeconfig: Option<PathBuf>,

    /// The address of the kubelet: https://HOST:10250, or `none` to switch it off [default: https://NODE_IP:10250]
    #[arg(long, env = "CORONER_KUBELET_URL", value_name = "URL")]
    kubelet_url: Option<String>,

    /// The address of the node, at which the kubelet is reached
    #[arg(long, env = "NODE_IP", value_name = "IP")]
    node_ip: Option<IpAddr>,

    /// The CA certificates that sign the kubelet's certificate (PEM) [default: those of the cluster]
    #[arg(long, env = "CORONER_KUBELET_CA", value_name = "FILE")]
    kubelet_ca: Option<PathBuf>,

    /// Do not verify the kubelet's certificate, which is self-signed on many nodes
    #[arg(long, env = "CORONER_KUBELET_INSECURE_TLS")]
    kubelet_insecure_tls: bool,
}

/// Writes what the sources of one node observe to stdout, for `coroner record`
#[derive(Debug, Parser)]
#[command(name = "coroner-agent record", bin_name = "coroner-agent record", version = version())]
pub(super) struct RecordFlags {
    #[command(flatten)]
    pub(super) node: NodeFlags,

    /// Observe the node as the agent with this process id does; other flags about the node are ignored
    #[arg(long, value_name = "PID")]
    pub(super) like_agent: Option<u32>,

    /// How long to record, in seconds
    #[arg(long, value_name = "SECONDS")]
    pub(super) seconds: u64,

    /// End before more than this is written
    #[arg(long, value_name = "BYTES")]
    pub(super) max_bytes: u64,

    /// Only objects, containers and logs of this namespace
    #[arg(long, value_name = "NAME")]
    pub(super) namespace: Option<String>,

    /// Only those of this pod of the namespace; may be repeated
    #[arg(long = "pod", value_name = "NAME")]
    pub(super) pods: Vec<String>,

    /// Leave out the last lines of failed containers' logs
    #[arg(long)]
    pub(super) no_logs: bool,
}

impl NodeFlags {
    /// Those of the agent that is process `pid`.
    pub(super) fn of_agent(pid: u32, language: Language) -> Result<Self, Stop> {
        let path = format!("/proc/{pid}/cmdline");
        let unreadable = |error: io::Error| problem(messages::not_an_agent(&path, error.to_string()));
        let read = std::fs::read(&path).map_err(|error| Stop::Wrong(unreadable(error).text(language)))?;
        let args = read.strip_suffix(b"\0").unwrap_or(&read).split(|byte| *byte == 0);
        let args: Vec<OsString> = args.map(|arg| OsString::from_vec(arg.to_vec())).collect();
        Ok(usage::parse::<Flags>(&CHINESE, &args, language)?.node)
    }

    pub(super) fn checked(self) -> Result<NodeConfig, Problem> {
        let Self {
            node_name,
            cluster_uid,
            host_root,
            container_logs,
            cri_endpoint,
            containerd_endpoint,
            containerd_namespace,
            docker_endpoint,
            docker_logs,
            log_lines,
            kubeconfig,
            kubelet_url,
            node_ip,
            kubelet_ca,
            kubelet_insecure_tls,
        } = self;
        let host_root = std::path::absolute(&host_root)
            .map_err(|error| problem(messages::host_root(host_root.display().to_string(), error.to_string())))?;
        let host = HostRoot::at(&host_root);
        let container_logs = container_logs.unwrap_or_else(|| host.log.join("containers"));
        let cri = cri_endpoint.unwrap_or_else(|| Socket::first_of(&host_root, &CRI_SOCKETS));
        let containerd = containerd_endpoint.unwrap_or_else(|| cri.clone());
        let docker = docker_endpoint.unwrap_or_else(|| Socket::first_of(&host_root, &[DOCKER_SOCKET]));
        let by_address = node_ip.map(|address| match address {
            IpAddr::V4(address) => format!("https://{address}:{KUBELET_PORT}"),
            IpAddr::V6(address) => format!("https://[{address}]:{KUBELET_PORT}"),
        });
        let kubeconfig = kubeconfig.filter(|path| !path.as_os_str().is_empty());
        let kubelet = kubelet::Config {
            url: kubelet_url.or(by_address).filter(|url| url != "none"),
            ca: kubelet_ca,
            insecure: kubelet_insecure_tls,
            kubeconfig: kubeconfig.clone(),
        };
        let sources = Settings {
            host,
            container_logs,
            cri,
            containerd: containerd::Config { socket: containerd, namespace: containerd_namespace },
            docker,
            docker_logs: docker_logs.unwrap_or_else(|| host_root.join(DOCKER_LOGS)),
            log_lines,
            kubeconfig,
            kubelet,
            disks: disk::places(&host_root),
        };
        Ok(NodeConfig { name: node_name.filter(|name| !name.is_empty()), cluster_uid, sources })
    }
}

fn parse_socket(text: &str) -> Result<Socket, Problem> {
    if text == "none" {
        return Ok(Socket::Off);
    }
    match text.strip_prefix("unix://") {
        Some(path) if path.starts_with('/') => Ok(Socket::At(text.to_owned())),
        _ => Err(problem(messages::not_a_socket())),
    }
}
