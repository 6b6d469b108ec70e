//! What all exporters of an aggregator have in common.

use std::{
    collections::BTreeSet,
    fmt,
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
};

use coroner_runtime::backoff::Pace;

use super::{error::Error, target::Target};
use crate::ledger::Ledger;

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
/// [`Error::SameName`], [`Error::Unreadable`].
pub fn check(targets: &[Target]) -> Result<(), Error> {
    let mut names = BTreeSet::new();
    if let Some(target) = targets.iter().find(|target| !names.insert(&target.name)) {
        return Err(Error::SameName(target.name.clone()));
    }
    for target in targets {
        for path in target.destination.files() {
            let unreadable = |source| Error::Unreadable { name: target.name.clone(), path: path.clone(), source };
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
        let error = check(&[target("one")]).unwrap_err().to_string();
        assert!(error.starts_with(&format!("exporter one: cannot read {}", ca.display())), "{error}");
        std::fs::write(&ca, "").unwrap();
        check(&[target("one"), target("two")]).unwrap();
        assert!(matches!(check(&[target("one"), target("one")]), Err(Error::SameName(name)) if name == "one"));
    }
}
