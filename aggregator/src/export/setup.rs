//! What all exporters of an aggregator have in common.

use std::{
    collections::BTreeSet,
    fmt,
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use coroner_runtime::{backoff::Pace, problem::Problem};

use super::target::{Destination, Target};
use crate::{
    ledger::Ledger,
    messages::{problem, start},
};

/// What all exporters have in common.
#[derive(Clone)]
pub struct Setup {
    /// The ledger that exporters read.
    pub ledger: Arc<Ledger>,
    /// Where they keep their cursors and dead letters.
    pub directory: PathBuf,
    /// The API server, where there is one.
    pub cluster: Option<kube::Client>,
    /// The intervals and deadlines of exporters.
    pub pace: Pace,
}

impl fmt::Debug for Setup {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Setup").field("directory", &self.directory).finish_non_exhaustive()
    }
}

impl Setup {
    /// The directory beside the ledger's file.
    pub fn directory_of(ledger: &Path) -> PathBuf {
        let mut name = ledger.as_os_str().to_owned();
        name.push(".export");
        name.into()
    }
}

/// Checks what can be known to be wrong before anything is started.
///
/// # Errors
/// If two have one name, a file cannot be read, or there is no API server for events.
pub fn check(targets: &[Target], has_cluster: bool) -> Result<(), Problem> {
    if !has_cluster && targets.iter().any(|target| matches!(target.destination, Destination::Events)) {
        return Err(problem(start::export_no_cluster()));
    }
    let mut names = BTreeSet::new();
    if let Some(target) = targets.iter().find(|target| !names.insert(&target.name)) {
        return Err(problem(start::export_same_name(&target.name)));
    }
    for target in targets {
        for path in target.destination.files() {
            let unreadable = |error: io::Error| {
                problem(start::export_unreadable(&target.name, path.display().to_string(), error.to_string()))
            };
            File::open(path).map_err(unreadable)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_files_are_checked_before_anything_is_started() {
        let directory = tempfile::tempdir().unwrap();
        let ca = directory.path().join("ca.pem");
        let url = |name: &str| format!("otlp+https://collector.example:4317?ca={}&name={name}", ca.display());
        let target = |name: &str| url(name).parse::<Target>().unwrap();
        let error = check(&[target("one")], false).unwrap_err().to_string();
        assert!(error.starts_with(&format!("exporter one: cannot read {}", ca.display())), "{error}");
        std::fs::write(&ca, "").unwrap();
        check(&[target("one"), target("two")], false).unwrap();
        let error = check(&[target("one"), target("one")], false).unwrap_err().to_string();
        assert!(error.contains("two exporters are called one"), "{error}");
        let events = ["events:".parse().unwrap()];
        assert!(check(&events, false).unwrap_err().to_string().contains("--kubeconfig"));
        check(&events, true).unwrap();
    }
}
