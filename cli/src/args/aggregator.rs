//! Where the aggregator is, and how it knows who asks.

use std::path::PathBuf;

#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Aggregator")]
pub(crate) struct AggregatorArgs {
    /// Where the aggregator listens: http://HOST:PORT, https://HOST:PORT or unix:///PATH
    #[arg(
        long = "aggregator",
        value_name = "URL",
        env = "CORONER_AGGREGATOR",
        default_value = "http://127.0.0.1:7070",
        global = true
    )]
    pub(crate) url: String,
    /// The CA certificates (PEM) that sign the aggregator's certificate; needed for https://
    #[arg(long, value_name = "FILE", env = "CORONER_TLS_CA", global = true)]
    pub(crate) tls_ca: Option<PathBuf>,
    /// The client certificate (PEM) to present to the aggregator
    #[arg(long, value_name = "FILE", env = "CORONER_TLS_CERT", global = true)]
    pub(crate) tls_cert: Option<PathBuf>,
    /// The private key (PEM) of the client certificate
    #[arg(long, value_name = "FILE", env = "CORONER_TLS_KEY", global = true)]
    pub(crate) tls_key: Option<PathBuf>,
    /// A file with a bearer token, as `kubectl create token` prints it; read before each call
    #[arg(long, value_name = "FILE", env = "CORONER_TOKEN_FILE", global = true)]
    pub(crate) token_file: Option<PathBuf>,
    /// Allow http:// beyond this machine, where the answers can be read and changed on their way
    #[arg(long, env = "CORONER_INSECURE", global = true)]
    pub(crate) insecure: bool,
}
