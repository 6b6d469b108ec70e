//! What all exporters of an aggregator have in common.

use std::{
    collections::BTreeSet,
    fmt,
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
/// [`Error::SameName`].
pub fn check(targets: &[Target]) -> Result<(), Error> {
    let mut names = BTreeSet::new();
    match targets.iter().find(|target| !names.insert(&target.name)) {
        Some(target) => Err(Error::SameName(target.name.clone())),
        None => Ok(()),
    }
}
