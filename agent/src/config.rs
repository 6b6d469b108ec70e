//! The command line, and what follows from it. Every flag is also an environment variable.

use std::{
    ffi::OsString,
    net::{IpAddr, SocketAddr},
    os::unix::ffi::OsStringExt,
    path::PathBuf,
    time::Duration,
};

use clap::Parser;
use coroner_diagnosis::recording::Scope;
use coroner_runtime::{logging, version::version};
use thiserror::Error;
use tonic::transport::Uri;

use crate::{
    host::HostRoot,
    sources::{Settings, containerd, disk, kubelet, logs, socket::Socket},
};

/// The smallest outbox that makes sense: a few hundred records.
const OUTBOX_MIN_BYTES: u64 = 1 << 20;

/// The port of the kubelet's API (`pkg/cluster/ports`).
pub const KUBELET_PORT: u16 = 10250;

/// Sockets on which a CRI runtime is known to listen, below the node's root: containerd (Debian and most others, K3s
/// and RKE2, K0s, MicroK8s), CRI-O, cri-dockerd.
const CRI_SOCKETS: [&str; 6] = [
    "run/containerd/containerd.sock",
    "run/k3s/containerd/containerd.sock",
    "run/k0s/containerd.sock",
    "var/snap/microk8s/common/run/containerd.sock",
    "run/crio/crio.sock",
    "run/cri-dockerd.sock",
];

/// Docker's socket below the node's root. /var/run, where clients look for it, is a link to /run on the node, and may
/// not be mounted into the agent's container.
const DOCKER_SOCKET: &str = "run/docker.sock";

/// Docker's directory of containers below the node's root.
const DOCKER_LOGS: &str = "var/lib/docker/containers";

/// Observes one node, and reports to the aggregator why its containers and pods ended
#[derive(Debug, Parser)]
#[command(name = "coroner-agent", version = version())]
struct Flags {
    #[command(flatten)]
    node: NodeFlags,

    /// The address of the aggregator: https://HOST:PORT, http://HOST:PORT or unix:///PATH
    #[arg(long, env = "CORONER_AGGREGATOR", value_name = "URL")]
    aggregator: String,

    /// The CA certificates that sign the aggregator's certificate (PEM); required for https://
    #[arg(long, env = "CORONER_TLS_CA", value_name = "FILE")]
    tls_ca: Option<PathBuf>,

    /// The agent's client certificate (PEM)
    #[arg(long, env = "CORONER_TLS_CERT", value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,

    /// The private key of the client certificate (PEM)
    #[arg(long, env = "CORONER_TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,

    /// A file with a bearer token, as the kubelet projects it; read for each push
    #[arg(long, env = "CORONER_TOKEN_FILE", value_name = "FILE")]
    token_file: Option<PathBuf>,

    /// Allow http:// to another machine, where records can be read and changed on their way
    #[arg(long, env = "CORONER_INSECURE")]
    insecure: bool,

    /// The outbox: the file that keeps records until the aggregator has stored them
    #[arg(long, env = "CORONER_OUTBOX", value_name = "FILE", default_value = "/var/lib/coroner/outbox.db")]
    outbox: PathBuf,

    /// The maximum size of the outbox
    #[arg(long, env = "CORONER_OUTBOX_MAX_BYTES", value_name = "BYTES", default_value_t = 64 << 20,
          value_parser = clap::value_parser!(u64).range(OUTBOX_MIN_BYTES..))]
    outbox_max_bytes: u64,

    /// The address for health probes (grpc.health.v1, services `liveness` and `readiness`) and GET /metrics; no TLS
    #[arg(long, env = "CORONER_HEALTH_LISTEN", value_name = "IP:PORT")]
    health_listen: Option<SocketAddr>,

    /// The address of the agent's pod, at which other agents probe its health port [default: none]
    #[arg(long, env = "POD_IP", value_name = "IP")]
    pod_ip: Option<IpAddr>,

    /// The format of the log on stderr
    #[arg(long, env = "CORONER_LOG_FORMAT", value_name = "FORMAT", default_value = "text")]
    log_format: logging::Format,
}

/// How the node is observed.
#[derive(Debug, clap::Args)]
struct NodeFlags {
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
#[command(name = "coroner-agent record", version = version())]
struct RecordFlags {
    #[command(flatten)]
    node: NodeFlags,

    /// Observe the node as the agent does that is process 1 here, in its container; other flags for it do not count
    #[arg(long)]
    like_agent: bool,

    /// For so long, in seconds
    #[arg(long, value_name = "SECONDS")]
    seconds: u64,

    /// End before more bytes are written
    #[arg(long, value_name = "BYTES")]
    max_bytes: u64,

    /// Only objects, containers and logs of this namespace
    #[arg(long, value_name = "NAME")]
    namespace: Option<String>,

    /// Only those of this pod; may be repeated
    #[arg(long = "pod", value_name = "NAME")]
    pods: Vec<String>,

    /// Leave out the last lines of failed containers' logs
    #[arg(long)]
    no_logs: bool,
}

/// The complete and consistent configuration of the agent.
#[derive(Clone, Debug)]
pub struct Config {
    /// The node, and how it is observed.
    pub node: NodeConfig,
    /// The aggregator that diagnoses are pushed to.
    pub aggregator: Aggregator,
    /// The file of the outbox.
    pub outbox: PathBuf,
    /// The most bytes that the outbox holds.
    pub outbox_max_bytes: u64,
    /// Where to serve health, if anywhere.
    pub health_listen: Option<SocketAddr>,
    /// The address of the agent's pod.
    pub pod_ip: Option<IpAddr>,
    /// The format of log lines on stderr.
    pub log_format: logging::Format,
}

/// A node, and how it is observed.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// The node's name, if it is not the hostname.
    pub name: Option<String>,
    /// The cluster's uid; empty where it is not known.
    pub cluster_uid: String,
    /// The settings of the sources.
    pub sources: Settings,
}

/// What `coroner-agent record` writes.
#[derive(Clone, Debug)]
pub struct RecordConfig {
    /// The node, and how it is observed.
    pub node: NodeConfig,
    /// How long the recording lasts.
    pub duration: Duration,
    /// Bound of what is written, in bytes.
    pub max_bytes: u64,
    /// The pods and namespaces that are recorded.
    pub scope: Scope,
}

/// What this process was started to do.
#[derive(Clone, Debug)]
pub enum Command {
    /// The agent.
    Run(Box<Config>),
    /// The recorder: `record` as the first argument.
    Record(Box<RecordConfig>),
}

/// How the aggregator is reached. The files are read at each connection, so that renewed certificates are taken up.
#[derive(Clone, Debug)]
pub struct Aggregator {
    /// `https://`, `http://` or `unix:///`.
    pub url: String,
    /// PEM files for https.
    pub tls: Option<Tls>,
    /// The file of a bearer token.
    pub token: Option<PathBuf>,
}

/// PEM files of a TLS client.
#[derive(Clone, Debug)]
pub struct Tls {
    /// The authority of the aggregator's certificate.
    pub ca: PathBuf,
    /// The agent's own certificate and its key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// Why the agent does not start with this configuration.
#[derive(Debug, Error)]
pub enum UsageError {
    /// Not an error: help or version were asked for. Holds the text.
    #[error("{0}")]
    Help(String),
    /// What is wrong, in one line.
    #[error("{0}")]
    Bad(String),
}

impl Command {
    /// Reads the command line of this process and its environment.
    ///
    /// # Errors
    /// If they are not valid or contradict each other.
    pub fn from_args() -> Result<Self, UsageError> {
        let args: Vec<OsString> = std::env::args_os().collect();
        if args.get(1).is_none_or(|first| first != "record") {
            return Ok(Self::Run(Box::new(Config::parse(args)?)));
        }
        Ok(Self::Record(Box::new(RecordConfig::parse(args.into_iter().skip(1))?)))
    }
}

impl RecordConfig {
    fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Self, UsageError> {
        let RecordFlags { node, like_agent, seconds, max_bytes, namespace, pods, no_logs } = parse(args)?;
        let mut node = if like_agent { NodeFlags::of_agent()? } else { node }.checked()?;
        if no_logs {
            node.sources.log_lines = 0;
        }
        let scope = Scope { namespace, pods: pods.into_iter().collect() };
        Ok(Self { node, duration: Duration::from_secs(seconds), max_bytes, scope })
    }
}

impl Config {
    /// Reads a command line that begins with the program's name.
    ///
    /// # Errors
    /// If it is not valid.
    pub fn parse(args: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> Result<Self, UsageError> {
        let Flags {
            node,
            aggregator,
            tls_ca,
            tls_cert,
            tls_key,
            token_file,
            insecure,
            outbox,
            outbox_max_bytes,
            health_listen,
            pod_ip,
            log_format,
        } = parse(args)?;
        let tls = tls_ca.map(|ca| Tls { ca, identity: tls_cert.zip(tls_key) });
        Ok(Self {
            node: node.checked()?,
            aggregator: Aggregator::checked(aggregator, tls, token_file, insecure).map_err(UsageError::Bad)?,
            outbox,
            outbox_max_bytes,
            health_listen,
            pod_ip,
            log_format,
        })
    }
}

/// Reads a command line that begins with the program's name.
fn parse<F: Parser>(args: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> Result<F, UsageError> {
    F::try_parse_from(args).map_err(|error| {
        if error.use_stderr() { UsageError::Bad(one_line(&error)) } else { UsageError::Help(error.to_string()) }
    })
}

impl NodeFlags {
    /// Those of process 1.
    fn of_agent() -> Result<Self, UsageError> {
        let path = "/proc/1/cmdline";
        let read = std::fs::read(path).map_err(|error| UsageError::Bad(format!("{path}: {error}")))?;
        let args = read.strip_suffix(b"\0").unwrap_or(&read).split(|byte| *byte == 0);
        let flags: Flags = parse(args.map(|arg| OsString::from_vec(arg.to_vec())))?;
        Ok(flags.node)
    }

    fn checked(self) -> Result<NodeConfig, UsageError> {
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
            .map_err(|error| UsageError::Bad(format!("--host-root {}: {error}", host_root.display())))?;
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

impl Aggregator {
    fn checked(url: String, tls: Option<Tls>, token: Option<PathBuf>, insecure: bool) -> Result<Self, String> {
        if url.strip_prefix("unix://").is_some_and(|path| path.starts_with('/')) {
            return Ok(Self { url, tls: None, token });
        }
        let uri: Uri = url.parse().map_err(|error| format!("--aggregator {url}: {error}"))?;
        let Some(host) = uri.host() else {
            return Err(format!("--aggregator {url}: names no host"));
        };
        match uri.scheme_str() {
            Some("https") if tls.is_some() => Ok(Self { url, tls, token }),
            Some("https") => Err(format!("--aggregator {url}: https needs --tls-ca, the authority to trust")),
            Some("http") if is_loopback(host) => Ok(Self { url, tls: None, token }),
            Some("http") if insecure && token.is_some() => Err(format!(
                "--aggregator {url}: every host on the path could take the token of --token-file; use https:// with --tls-ca"
            )),
            Some("http") if insecure => Ok(Self { url, tls: None, token }),
            Some("http") => Err(format!(
                "--aggregator {url}: plain http to another machine can be read and forged by every host on the path; \
                 use https:// with --tls-ca, or set --insecure"
            )),
            _ => Err(format!("--aggregator {url}: begin with https://, http:// or unix:///")),
        }
    }
}

fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn parse_socket(text: &str) -> Result<Socket, String> {
    if text == "none" {
        return Ok(Socket::Off);
    }
    match text.strip_prefix("unix://") {
        Some(path) if path.starts_with('/') => Ok(Socket::At(text.to_owned())),
        _ => Err("write unix:///PATH, or none to switch it off".into()),
    }
}

/// clap's message without its usage and hints.
fn one_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let message = text.split("\n\n").next().unwrap_or(&text);
    let line = message.split_whitespace().collect::<Vec<_>>().join(" ");
    line.strip_prefix("error: ").map(str::to_owned).unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(flags: &[&str]) -> Result<Config, UsageError> {
        Config::parse([&["coroner-agent"], flags].concat())
    }

    fn refusal(flags: &[&str]) -> String {
        let error = parse(flags).unwrap_err().to_string();
        assert!(!error.contains('\n'), "{error:?} is more than one line");
        error
    }

    #[test]
    fn refuses_plain_http_beyond_loopback_unless_insecure_is_set() {
        for near in ["http://127.0.0.1:7070", "http://localhost:7070", "http://[::1]:7070", "unix:///run/a.sock"] {
            parse(&["--aggregator", near]).unwrap();
        }
        let refusal = refusal(&["--aggregator", "http://aggregator:7070"]);
        assert!(refusal.contains("--insecure") && refusal.contains("--tls-ca"), "{refusal}");
        parse(&["--aggregator", "http://aggregator:7070", "--insecure"]).unwrap();
    }

    #[test]
    fn a_token_does_not_travel_in_plain_text() {
        for near in ["http://127.0.0.1:7070", "unix:///run/a.sock"] {
            let config = parse(&["--aggregator", near, "--token-file", "token"]).unwrap();
            assert_eq!(config.aggregator.token, Some("token".into()));
        }
        let refusal = refusal(&["--aggregator", "http://aggregator:7070", "--insecure", "--token-file", "token"]);
        assert!(refusal.contains("--token-file"), "{refusal}");
        parse(&["--aggregator", "https://aggregator:7070", "--tls-ca", "ca", "--token-file", "token"]).unwrap();
    }

    #[test]
    fn https_needs_an_authority_and_a_certificate_its_key() {
        assert!(refusal(&["--aggregator", "https://aggregator:7070"]).contains("--tls-ca"));
        assert!(refusal(&["--aggregator", "https://a:1", "--tls-ca", "ca", "--tls-cert", "c"]).contains("--tls-key"));
        let config = parse(&["--aggregator", "https://a:1", "--tls-ca", "ca", "--tls-cert", "c", "--tls-key", "k"]);
        assert_eq!(config.unwrap().aggregator.tls.unwrap().identity, Some(("c".into(), "k".into())));
    }

    #[test]
    fn reports_an_error_in_one_line() {
        assert!(refusal(&["--aggregator", "ftp://x"]).contains("begin with"));
        assert!(refusal(&["--aggregator", "unix://relative"]).contains("begin with"));
        assert!(refusal(&["--aggregator", "unix:///a", "--cri-endpoint", "/run/a.sock"]).contains("unix:///PATH"));
        assert!(refusal(&["--aggregator", "unix:///a", "--outbox-max-bytes", "5"]).contains("--outbox-max-bytes"));
        assert!(refusal(&["--aggregator", "unix:///a", "--wat"]).contains("--wat"));
    }

    #[test]
    fn everything_of_the_node_hangs_off_the_host_root() {
        let root = tempfile::tempdir().unwrap();
        let flags = ["--aggregator", "unix:///a", "--host-root", root.path().to_str().unwrap()];
        let config = parse(&flags).unwrap();
        let sources = config.node.sources;
        assert_eq!(sources.host.proc, root.path().join("proc"));
        assert_eq!(sources.container_logs, root.path().join("var/log/containers"));
        assert_eq!(sources.docker_logs, root.path().join("var/lib/docker/containers"));
        assert_eq!(sources.cri, Socket::first_of(root.path(), &CRI_SOCKETS));
        assert_eq!(sources.containerd.socket, sources.cri);
        assert_eq!(sources.docker, Socket::FirstOf(vec![root.path().join("run/docker.sock")]));
    }

    #[test]
    fn endpoints_can_be_switched_off() {
        let sources = parse(&["--aggregator", "unix:///a", "--cri-endpoint", "none"]).unwrap().node.sources;
        assert_eq!((sources.cri, sources.containerd.socket), (Socket::Off, Socket::Off));
        let docker = |endpoint| {
            parse(&["--aggregator", "unix:///a", "--docker-endpoint", endpoint]).unwrap().node.sources.docker
        };
        assert_eq!(docker("none"), Socket::Off);
        assert_eq!(docker("unix:///d.sock"), Socket::At("unix:///d.sock".to_owned()));
    }
}
