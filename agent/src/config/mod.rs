//! The command line, and what follows from it. Every flag is also an environment variable.

mod flags;

use std::{
    ffi::OsString,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use coroner_diagnosis::{
    messages::{Language, Message},
    recording::Scope,
};
use coroner_runtime::{
    logging,
    problem::Problem,
    usage::{self, Stop},
};
use tonic::transport::Uri;

use self::flags::{Flags, NodeFlags, RecordFlags};
use crate::{
    messages::{self, CHINESE, problem},
    sources::Settings,
};

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

impl Command {
    /// Reads the command line of this process and its environment.
    ///
    /// # Errors
    /// If they are not valid or contradict each other, or help was asked for.
    pub fn from_args(language: Language) -> Result<Self, Stop> {
        Self::parse(&std::env::args_os().collect::<Vec<_>>(), language)
    }

    fn parse(args: &[OsString], language: Language) -> Result<Self, Stop> {
        match args {
            [_, record, ..] if record == "record" => {
                RecordConfig::parse(args.get(1..).unwrap_or_default(), language).map(Box::new).map(Self::Record)
            }
            _ => Config::parse(args, language).map(Box::new).map(Self::Run),
        }
    }
}

impl RecordConfig {
    fn parse(args: &[OsString], language: Language) -> Result<Self, Stop> {
        let RecordFlags { node, like_agent, seconds, max_bytes, namespace, pods, no_logs } =
            usage::parse(&CHINESE, args, language)?;
        let node = like_agent.map_or(Ok(node), |pid| NodeFlags::of_agent(pid, language))?;
        let mut node = node.checked().map_err(|problem| Stop::Wrong(problem.text(language)))?;
        if no_logs {
            node.sources.log_lines = 0;
        }
        let scope = Scope { namespace, pods: pods.into_iter().collect() };
        Ok(Self { node, duration: Duration::from_secs(seconds), max_bytes, scope })
    }
}

impl Config {
    fn parse(args: &[OsString], language: Language) -> Result<Self, Stop> {
        Self::checked(usage::parse(&CHINESE, args, language)?).map_err(|problem| Stop::Wrong(problem.text(language)))
    }

    fn checked(flags: Flags) -> Result<Self, Problem> {
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
        } = flags;
        let tls = tls_ca.map(|ca| Tls { ca, identity: tls_cert.zip(tls_key) });
        Ok(Self {
            node: node.checked()?,
            aggregator: Aggregator::checked(aggregator, tls, token_file, insecure)?,
            outbox,
            outbox_max_bytes,
            health_listen,
            pod_ip,
            log_format,
        })
    }
}

impl Aggregator {
    fn checked(url: String, tls: Option<Tls>, token: Option<PathBuf>, insecure: bool) -> Result<Self, Problem> {
        if url.strip_prefix("unix://").is_some_and(|path| path.starts_with('/')) {
            return Ok(Self { url, tls: None, token });
        }
        let wrong = |message: fn(&str) -> Message| Err(problem(message(&url)));
        let uri: Uri = match url.parse() {
            Ok(uri) => uri,
            Err(error) => return Err(problem(messages::aggregator_invalid(&url, format!("{error}")))),
        };
        let Some(host) = uri.host() else { return wrong(|url| messages::aggregator_without_host(url)) };
        match uri.scheme_str() {
            Some("https") if tls.is_some() => Ok(Self { url, tls, token }),
            Some("https") => wrong(|url| messages::aggregator_without_ca(url)),
            Some("http") if is_loopback(host) => Ok(Self { url, tls: None, token }),
            Some("http") if insecure && token.is_some() => wrong(|url| messages::aggregator_plain_token(url)),
            Some("http") if insecure => Ok(Self { url, tls: None, token }),
            Some("http") => wrong(|url| messages::aggregator_plain(url)),
            _ => wrong(|url| messages::aggregator_scheme(url)),
        }
    }
}

fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::{flags::CRI_SOCKETS, *};
    use crate::sources::socket::Socket;

    fn args(flags: &[&str]) -> Vec<OsString> {
        [&["coroner-agent"], flags].concat().into_iter().map(OsString::from).collect()
    }

    fn parse(flags: &[&str]) -> Result<Config, Stop> {
        Config::parse(&args(flags), Language::English)
    }

    fn refusal_in(language: Language, flags: &[&str]) -> String {
        let Err(Stop::Wrong(error)) = Command::parse(&args(flags), language) else { panic!("{flags:?} is accepted") };
        assert!(!error.contains('\n'), "{error:?} is more than one line");
        error
    }

    fn refusal(flags: &[&str]) -> String {
        refusal_in(Language::English, flags)
    }

    #[test]
    fn every_argument_has_its_help_in_chinese() {
        for command in [Flags::command(), RecordFlags::command()] {
            assert_eq!(CHINESE.faults(&command), Vec::<String>::new());
        }
        let Err(Stop::Asked(help)) = Command::parse(&args(&["record", "--help"]), Language::Chinese) else { panic!() };
        assert!(help.contains("用法：coroner-agent record") && help.contains("录制时长"), "{help}");
    }

    #[test]
    fn refuses_in_the_language_of_who_started_it() {
        for (flags, wanted) in [
            (&["--wat"] as &[&str], "无法识别的参数 --wat"),
            (&[], "缺少参数 --aggregator <URL>"),
            (&["--aggregator", "unix:///a", "--outbox-max-bytes", "5"], "应在 1048576.."),
            (&["--aggregator", "unix:///a", "--outbox-max-bytes", "x"], "应为非负整数"),
            (&["--aggregator", "unix:///a", "--health-listen", "x"], "应为 IP:PORT"),
            (&["--aggregator", "unix:///a", "--pod-ip", "x"], "应为 IP 地址"),
            (&["--aggregator", "unix:///a", "--log-format", "xml"], "可选值：text、json"),
            (&["--aggregator", "unix:///a", "--cri-endpoint", "x"], "应为 unix:///PATH"),
            (&["--aggregator", "ftp://x"], "应以 https://"),
            (&["--aggregator", "https://x"], "需要 --tls-ca"),
            (&["--aggregator", "http://x"], "窃听和伪造"),
            (&["--aggregator", "https://a", "--tls-cert", "c"], "缺少参数 --tls-key <FILE>"),
            (&["record", "--seconds", "x", "--max-bytes", "1"], "应为非负整数"),
            (&["record", "--seconds", "1", "--max-bytes", "1", "--like-agent", "0"], "/proc/0/cmdline："),
        ] {
            let refusal = refusal_in(Language::Chinese, flags);
            assert!(refusal.contains(wanted), "{flags:?}: {refusal}");
        }
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
