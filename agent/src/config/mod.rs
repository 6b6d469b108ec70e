//! The command line, and what follows from it. Every flag is also an environment variable.

mod flags;

use std::{
    ffi::OsString,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use clap::Parser;
use coroner_diagnosis::recording::Scope;
use coroner_runtime::logging;
use thiserror::Error;
use tonic::transport::Uri;

use self::flags::{Flags, NodeFlags, RecordFlags};
use crate::sources::Settings;

/// The port of the kubelet's API (`pkg/cluster/ports`).
pub const KUBELET_PORT: u16 = 10250;

/// The complete and consistent configuration of the agent.
#[derive(Clone, Debug)]
pub struct Config {
    /// The node, and how it is observed.
    pub node: NodeConfig,
    /// The aggregator that diagnoses are pushed to.
    pub aggregator: Aggregator,
    /// Where records wait until the aggregator has acknowledged them: a file of its own.
    pub outbox: PathBuf,
    /// The size of that file in bytes, from which on records are discarded, the least severe first.
    pub outbox_max_bytes: u64,
    /// Where to serve health, if anywhere.
    pub health_listen: Option<SocketAddr>,
    /// The address of the agent's pod.
    pub pod_ip: Option<IpAddr>,
    /// Whether log lines on stderr are text or JSON.
    pub log_format: logging::Format,
}

/// A node, and how it is observed.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// The node's name, if it is not the hostname.
    pub name: Option<String>,
    /// The cluster's uid; empty where it is not known.
    pub cluster_uid: String,
    /// Which sources are read, and where they are on this machine.
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
        let mut node = like_agent.map_or(Ok(node), NodeFlags::of_agent)?.checked()?;
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

/// clap's message without its usage and hints.
fn one_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let message = text.split("\n\n").next().unwrap_or(&text);
    let line = message.split_whitespace().collect::<Vec<_>>().join(" ");
    line.strip_prefix("error: ").map(str::to_owned).unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::{flags::CRI_SOCKETS, *};
    use crate::sources::socket::Socket;

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
