//! Where an exporter goes, as what, and how; `--export URL` says it in one line.

mod parse;

pub(crate) use self::parse::Options;

use std::{path::PathBuf, str::FromStr};

use coroner_proto::v1::{DiagnosisFilter, Severity};
use url::Url;

/// Where one exporter carries records, and which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Names the exporter in logs and its files. Its cursor goes with it.
    pub name: String,
    /// The URL, without the options.
    pub shown: String,
    /// Where to begin if it has no cursor yet.
    pub start: Start,
    /// Which diagnoses. Gaps are always told.
    pub filter: Filter,
    pub(super) destination: Destination,
}

/// Where to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// With the oldest record that is kept.
    Oldest,
    /// With what comes from now on.
    Now,
}

/// Which diagnoses to carry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Any of these; all if there are none.
    pub namespaces: Vec<String>,
    /// At least so loud.
    pub min_severity: Severity,
}

impl Filter {
    pub(super) fn include(self) -> Vec<DiagnosisFilter> {
        let Self { namespaces, min_severity } = self;
        vec![DiagnosisFilter { namespaces, min_severity: min_severity.into(), ..DiagnosisFilter::default() }]
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Destination {
    Lines(Lines),
    Nats(Nats),
    Otlp(Otlp),
    Syslog(Syslog),
    Webhook(Webhook),
}

/// Lines in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lines {
    /// None for stdout.
    pub(super) path: Option<PathBuf>,
    pub(super) format: Format,
}

/// An OTLP/gRPC receiver of logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Otlp {
    /// As gRPC has it: http or https.
    pub(super) url: String,
    pub(super) tls: Option<Tls>,
    pub(super) header_file: Option<PathBuf>,
}

/// A syslog receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Syslog {
    pub(super) host: Host,
    pub(super) tls: Option<Tls>,
    pub(super) layout: Layout,
    /// A batch counts as taken only when the receiver has closed the connection behind it.
    pub(super) confirm: bool,
}

/// How a syslog message looks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// 0 to 23.
    pub(super) facility: u8,
    /// The private enterprise number in the name of the structured data.
    pub(super) enterprise: String,
    /// Bytes of the longest message.
    pub(super) max_bytes: usize,
    /// What the message is beside the structured data; none for the summary.
    pub(super) format: Option<Format>,
}

/// A receiver of HTTP POST requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Webhook {
    pub(super) host: Host,
    /// As in the Host header.
    pub(super) authority: String,
    pub(super) path: String,
    pub(super) tls: Option<Tls>,
    pub(super) header_file: Option<PathBuf>,
    pub(super) format: Format,
    /// One object a line rather than an array.
    pub(super) lines: bool,
}

/// A stream of NATS JetStream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Nats {
    pub(super) server: NatsServer,
    pub(super) subject: String,
    /// The stream that must take it, if that is to be checked.
    pub(super) stream: Option<String>,
    pub(super) format: Format,
}

/// A server of NATS, and who one is to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NatsServer {
    pub(crate) host: Host,
    pub(crate) tls: Option<Tls>,
    pub(crate) token_file: Option<PathBuf>,
    pub(crate) creds_file: Option<PathBuf>,
}

/// Where to connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Host {
    /// A name or an address, without brackets.
    pub(crate) name: String,
    pub(crate) port: u16,
}

impl Host {
    pub(crate) fn of(url: &Url, default_port: u16) -> Result<Self, Wrong> {
        let name = url.host_str().filter(|host| !host.is_empty()).ok_or_else(|| Wrong::new("a host is missing"))?;
        let port = url.port_or_known_default().unwrap_or(default_port);
        Ok(Self { name: name.trim_matches(['[', ']']).into(), port })
    }

    /// As in a URL.
    pub(crate) fn bracketed(&self) -> String {
        if self.name.contains(':') { format!("[{}]", self.name) } else { self.name.clone() }
    }

    pub(crate) fn authority(&self) -> String {
        format!("{}:{}", self.bracketed(), self.port)
    }

    /// Whether what goes there does not leave this machine.
    fn is_loopback(&self) -> bool {
        self.name == "localhost" || self.name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

/// What a record is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// Our own JSON.
    Native,
    /// Elastic Common Schema, JSON.
    Ecs,
    /// Open Cybersecurity Schema Framework, JSON.
    Ocsf,
    /// Common Event Format.
    Cef,
}

impl FromStr for Format {
    type Err = Wrong;

    fn from_str(word: &str) -> Result<Self, Wrong> {
        match word {
            "native" => Ok(Self::Native),
            "ecs" => Ok(Self::Ecs),
            "ocsf" => Ok(Self::Ocsf),
            "cef" => Ok(Self::Cef),
            _ => Err(Wrong(format!("format={word} is none of native, ecs, ocsf, cef"))),
        }
    }
}

/// The files of a TLS connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tls {
    /// Authorities that are trusted; those of the system if there is none.
    pub(super) ca: Option<PathBuf>,
    /// Certificate and key to show.
    pub(super) identity: Option<(PathBuf, PathBuf)>,
}

/// Why a target cannot be understood: one line.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Wrong(String);

impl Wrong {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}
