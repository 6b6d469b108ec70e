//! Why an exporter does not run.

use std::path::PathBuf;

/// An exporter that cannot be started, or has failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Two would share one cursor.
    #[error("two exporters are called {0}; give one of them another name, as ?name=siem-2")]
    SameName(String),
    /// Events are of a cluster.
    #[error("--export events: needs an API server: run in a pod, or give --kubeconfig")]
    NoCluster,
    /// A file of its options cannot be read.
    #[error("exporter {name}: cannot read {}; correct --export, or create the file", path.display())]
    Unreadable {
        /// The exporter.
        name: String,
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// It has no place for its cursor.
    #[error("cannot {doing} {}", path.display())]
    File {
        /// What was being done.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// A fault of this program.
    #[error("{0}")]
    Failed(String),
}
