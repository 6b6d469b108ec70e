//! Why the aggregator does not start, or has ended.

use std::io;

use coroner_diagnosis::messages::{CATALOGUE, Language, health};
use coroner_runtime::{error::chain, problem::Problem, tasks::Failure};
use coroner_watch::NoCluster;

use crate::ledger;

/// Why the aggregator does not start, or has ended without being asked to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What an operator has to correct.
    #[error(transparent)]
    Problem(#[from] Problem),
    /// The ledger cannot be used.
    #[error(transparent)]
    Ledger(#[from] ledger::Error),
    /// A task without which it cannot go on has ended.
    #[error(transparent)]
    Task(#[from] Failure),
}

impl Error {
    /// What is wrong, in one line.
    pub fn text(&self, language: Language) -> String {
        match self {
            Self::Problem(problem) => problem.text(language),
            Self::Ledger(error) => error.problem().text(language),
            Self::Task(failure) => Problem::from(failure.clone()).text(language),
        }
    }

    /// Of an API server that is configured and cannot be used.
    pub(super) fn of_cluster(error: &NoCluster) -> Self {
        let message = match error {
            NoCluster::Kubeconfig { path, error } => health::health_no_kubeconfig(path, chain(error)),
            NoCluster::NotInside(error) => health::health_no_client(chain(error)),
            NoCluster::Client(error) => health::health_no_client(chain(error)),
        };
        Self::Problem(Problem::new(message, &CATALOGUE))
    }

    /// Of a fault of this program.
    pub(super) fn of_program(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Problem(Problem::of_system(&io::Error::other(error)))
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Problem(Problem::of_system(&error))
    }
}
