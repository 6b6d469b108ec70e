//! How the aggregator of a cluster is reached through the API server.

use std::path::PathBuf;

#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Cluster")]
pub(crate) struct ClusterArgs {
    /// Reach the aggregator by a forwarded port, through the cluster of this context of the kubeconfig; `kubectl
    /// coroner` uses the current context by default
    #[arg(long, value_name = "NAME", global = true)]
    pub(crate) context: Option<String>,
    /// The same with this kubeconfig [default: KUBECONFIG or ~/.kube/config]
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// The namespace in which Coroner is installed
    #[arg(long, value_name = "NAME", env = "CORONER_NAMESPACE", default_value = "coroner", global = true)]
    pub(crate) system_namespace: String,
    /// Ask as this ServiceAccount, for which a token is requested; its permissions decide what is shown [default:
    /// coroner-reader of that namespace, which may get everything]
    #[arg(long, value_name = "NAMESPACE/NAME", global = true)]
    pub(crate) account: Option<String>,
}
