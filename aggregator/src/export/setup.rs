//! What all exporters of an aggregator have in common.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
};

use coroner_runtime::backoff::Pace;

use super::{error::Error, target::Target};
use crate::ledger::Ledger;

/// What all exporters have in common.
#[derive(Clone, Debug)]
pub struct Setup {
    /// What they read.
    pub ledger: Arc<Ledger>,
    /// Where they keep their cursors and dead letters.
    pub directory: PathBuf,
    /// How they keep time.
    pub pace: Pace,
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
