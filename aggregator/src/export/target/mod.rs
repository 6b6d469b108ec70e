//! Destination, format and options of an exporter; `--export URL` contains them in one line.

mod parse;

use std::{path::PathBuf, str::FromStr};

use coroner_proto::v1::{DiagnosisFilter, Severity};
use coroner_runtime::problem::Problem;
use jiff::SignedDuration;

use crate::{
    messages::{problem, url as messages},
    remote::{Host, Tls, nats::NatsServer},
};

/// The destination of an exporter, with its options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Names the exporter in logs and its files. Its cursor goes with it.
    pub name: String,
    /// The URL, without the options.
    pub shown: String,
    /// Where to begin if it has no cursor yet.
    pub start: Start,
    /// Which diagnoses are exported. Gaps always are.
    pub filter: Filter,
    pub(super) destination: Destination,
}

/// Where a new exporter begins to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// With the oldest record that is kept.
    Oldest,
    /// With what comes from now on.
    Now,
}

/// Which diagnoses an exporter sends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Any of these; all if there are none.
    pub namespaces: Vec<String>,
    /// At least of this severity.
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
    /// Events of the Kubernetes API.
    Events,
    Lines(Lines),
    Nats(Nats),
    Otlp(Otlp),
    Syslog(Syslog),
    Webhook(Webhook),
}

impl Destination {
    /// What is carried if nothing else is asked for: what wakes people, or is shown to them among much else, begins
    /// with warnings.
    fn min_severity(&self) -> Severity {
        match self {
            Self::Events | Self::Webhook(Webhook { body: Body::Alerts { .. }, .. }) => Severity::Warning,
            _ => Severity::Unspecified,
        }
    }
}

impl Destination {
    /// The files with certificates, tokens and headers that it is reached with.
    pub(super) fn files(&self) -> Vec<&PathBuf> {
        match self {
            Self::Events | Self::Lines(_) => Vec::new(),
            Self::Nats(Nats { server, .. }) => {
                server.tls.iter().flat_map(Tls::files).chain(&server.token_file).chain(&server.creds_file).collect()
            }
            Self::Otlp(Otlp { tls, header_file, .. }) | Self::Webhook(Webhook { tls, header_file, .. }) => {
                tls.iter().flat_map(Tls::files).chain(header_file).collect()
            }
            Self::Syslog(Syslog { tls, .. }) => tls.iter().flat_map(Tls::files).collect(),
        }
    }
}

/// Lines in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lines {
    /// The path of the file; `None` for stdout.
    pub(super) path: Option<PathBuf>,
    pub(super) format: Format,
}

/// An OTLP/gRPC receiver of logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Otlp {
    /// The endpoint, with the scheme http or https.
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

/// The layout of a syslog message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// The syslog facility, 0 to 23.
    pub(super) facility: u8,
    /// The private enterprise number in the name of the structured data.
    pub(super) enterprise: String,
    /// The most bytes of a message.
    pub(super) max_bytes: usize,
    /// What the message is beside the structured data; none for the summary.
    pub(super) format: Option<Format>,
}

/// A receiver of HTTP POST requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Webhook {
    pub(super) host: Host,
    /// Host and port, as in the Host header.
    pub(super) authority: String,
    pub(super) path: String,
    pub(super) tls: Option<Tls>,
    pub(super) header_file: Option<PathBuf>,
    pub(super) body: Body,
}

/// How the records of a batch form the body of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// A JSON array of records.
    Array(Format),
    /// One record a line.
    Lines(Format),
    /// Alerts of Alertmanager, which are over so long after the latest event.
    Alerts { hold: SignedDuration },
    /// Events of Splunk's HTTP Event Collector, for this index if one is given.
    Splunk { index: Option<String> },
}

impl Body {
    /// The media type of the body.
    pub(super) fn media_type(&self) -> &'static str {
        match self {
            Self::Array(Format::CloudEvents) => "application/cloudevents-batch+json",
            Self::Array(_) | Self::Alerts { .. } | Self::Splunk { .. } => "application/json",
            Self::Lines(_) => "application/x-ndjson",
        }
    }
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

/// The format of an exported record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// Our own JSON.
    Native,
    /// Elastic Common Schema, JSON.
    Ecs,
    /// Open Cybersecurity Schema Framework, JSON.
    Ocsf,
    /// CloudEvents, JSON.
    CloudEvents,
    /// Common Event Format.
    Cef,
}

impl FromStr for Format {
    type Err = Problem;

    fn from_str(value: &str) -> Result<Self, Problem> {
        match value {
            "native" => Ok(Self::Native),
            "ecs" => Ok(Self::Ecs),
            "ocsf" => Ok(Self::Ocsf),
            "cloudevents" => Ok(Self::CloudEvents),
            "cef" => Ok(Self::Cef),
            _ => {
                Err(problem(messages::url_choice("format", value, vec!["native", "ecs", "ocsf", "cloudevents", "cef"])))
            }
        }
    }
}
