//! The command line. Every flag is also an environment variable.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Parser, ValueEnum};
use coroner_runtime::logging;

use crate::{
    export::Target,
    ledger::StreamTarget,
    net::{Endpoint, TlsFiles},
};

/// Stores the diagnoses that agents push, and serves them to readers
#[derive(Clone, Debug, Parser)]
#[command(name = "coroner-aggregator")]
pub struct Config {
    /// The address for agents and clients (gRPC): IP:PORT or unix:///PATH; can be repeated
    #[arg(
        long,
        env = "CORONER_LISTEN",
        value_name = "ENDPOINT",
        value_delimiter = ',',
        default_value = "127.0.0.1:7070"
    )]
    pub listen: Vec<Endpoint>,
    /// The ledger: the file that stores all records; created if it does not exist
    #[arg(long, env = "CORONER_LEDGER", value_name = "FILE", default_value = "/var/lib/coroner/ledger.db")]
    pub ledger: PathBuf,
    /// Share the ledger with other aggregators in a stream of NATS JetStream, nats+tls://HOST:PORT/STREAM; --ledger is
    /// then the local index of the stream; see docs/operating.md
    #[arg(long, env = "CORONER_JETSTREAM", value_name = "URL")]
    pub jetstream: Option<StreamTarget>,
    /// Issue and renew the TLS certificate for the Service of this name. The CA is kept in the Secret coroner-authority
    /// and published in the ConfigMap coroner-ca, both in the namespace of the pod
    #[arg(long, env = "CORONER_ISSUE_TLS", value_name = "SERVICE", group = "server_certificate")]
    pub issue_tls: Option<String>,
    /// The file for the issued certificate and its key
    #[arg(long, env = "CORONER_ISSUE_TLS_FILE", value_name = "FILE", default_value = "/run/coroner/tls.pem")]
    pub issue_tls_file: PathBuf,
    /// The TLS certificate chain (PEM)
    #[arg(long, env = "CORONER_TLS_CERT", value_name = "FILE", requires = "tls_key", group = "server_certificate")]
    pub tls_cert: Option<PathBuf>,
    /// The private key of that certificate (PEM)
    #[arg(long, env = "CORONER_TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// The CA of client certificates (PEM); if tokens are accepted too, a client needs either a certificate or a token
    #[arg(long, env = "CORONER_TLS_CLIENT_CA", value_name = "FILE", requires = "server_certificate")]
    pub tls_client_ca: Option<PathBuf>,
    /// The revocation list of that CA (PEM)
    #[arg(long, env = "CORONER_TLS_CLIENT_CRL", value_name = "FILE", requires = "tls_client_ca")]
    pub tls_client_crl: Option<PathBuf>,
    /// The audience that bearer tokens must have; the API server reviews them
    #[arg(long, env = "CORONER_TOKEN_AUDIENCE", value_name = "NAME", default_value = "coroner")]
    pub token_audience: String,
    /// The user whose tokens agents use; each may push for the node that its token is bound to
    #[arg(
        long,
        env = "CORONER_AGENT_ACCOUNT",
        value_name = "USER",
        default_value = "system:serviceaccount:coroner:coroner-agent"
    )]
    pub agent_account: String,
    /// Accept clients from other machines without TLS, or without credentials
    #[arg(long, env = "CORONER_INSECURE")]
    pub insecure: bool,
    /// How long records are kept, in days
    #[arg(long, env = "CORONER_RETAIN_DAYS", value_name = "DAYS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub retain_days: u32,
    /// The maximum size of the ledger on disk, for example 1073741824 or 1GiB
    #[arg(long, env = "CORONER_RETAIN_BYTES", value_name = "SIZE", default_value = "1GiB", value_parser = coroner_runtime::size::parse)]
    pub retain_bytes: u64,
    /// The address for health probes (grpc.health.v1, services `liveness` and `readiness`) and GET /metrics; no TLS
    #[arg(long, env = "CORONER_HEALTH_LISTEN", value_name = "IP:PORT")]
    pub health_listen: Option<SocketAddr>,
    /// The address of the web page: IP:PORT or unix:///PATH, with the TLS of --listen; see docs/page.md
    #[arg(long, env = "CORONER_HTTP_LISTEN", value_name = "ENDPOINT")]
    pub http_listen: Option<Endpoint>,
    /// Do not serve grpc.reflection, which lists services and messages
    #[arg(long, env = "CORONER_NO_REFLECTION")]
    pub no_reflection: bool,
    /// The kubeconfig to reach the API server with [default: the ServiceAccount of the pod]
    #[arg(long, env = "CORONER_KUBECONFIG", value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Whether to watch the cluster for what no agent observes: unschedulable and refused pods, Services without
    /// backends
    #[arg(long, env = "CORONER_CLUSTER_WATCH", value_name = "MODE", value_enum, default_value_t = ClusterWatch::Auto)]
    pub cluster_watch: ClusterWatch,
    /// A destination that all records are exported to, for example otlp+https://HOST:PORT or file:///PATH; can be
    /// repeated; see docs/exporters.md
    #[arg(long, env = "CORONER_EXPORT", value_name = "URL", value_delimiter = ' ')]
    pub export: Vec<Target>,
    /// The format of the log on stderr
    #[arg(long, env = "CORONER_LOG_FORMAT", value_name = "FORMAT", value_enum, default_value_t = logging::Format::Text)]
    pub log_format: logging::Format,
}

/// Whether to watch the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ClusterWatch {
    /// If an API server is configured
    Auto,
    /// Never
    Off,
}

impl Config {
    /// The files for TLS; none if it is not configured.
    pub fn tls_files(&self) -> Option<TlsFiles> {
        let (certificate, key) = match &self.issue_tls {
            Some(_) => (self.issue_tls_file.clone(), self.issue_tls_file.clone()),
            None => (self.tls_cert.clone()?, self.tls_key.clone()?),
        };
        let (client_ca, client_crl) = (self.tls_client_ca.clone(), self.tls_client_crl.clone());
        Some(TlsFiles { certificate, key, client_ca, client_crl })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_line_is_consistent() {
        use clap::CommandFactory;
        Config::command().debug_assert();
    }
}
