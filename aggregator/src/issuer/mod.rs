//! The aggregator's own certificate, created and renewed automatically: by an authority that lies in a Secret of its
//! namespace, and that agents and readers trust through a ConfigMap. Several aggregators share the authority; each
//! makes a certificate of its own.
//!
//! The certificate and its key lie in one file, which is replaced as a whole; [`Tls`](crate::net::Tls) takes it up like
//! any other.

mod authority;
mod store;

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use coroner_runtime::{backoff::Backoff, error::chain, problem::Problem, whole_file::replace};
use kube::Client;
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

pub use self::{authority::Unusable, store::Refused};
use self::{
    authority::{Authorities, Leaf},
    store::Store,
};
use crate::{
    messages::{problem, start},
    net::expire_time,
    time::now,
};

/// How often to look whether the authority and what is published of it are as they should be.
const LOOK_INTERVAL: Duration = Duration::from_secs(3_600);
/// After a look that failed.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// How long a refusal of the API server may last at the start: new roles take a moment to be in force.
const REFUSAL_DEADLINE: Duration = Duration::from_secs(30);

/// Why no certificate could be issued.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no API server to keep the authority.
    #[error("{}", problem(start::issuer_no_cluster()))]
    NoCluster,
    /// The API server refuses, or cannot be reached.
    #[error(transparent)]
    Store(#[from] Refused),
    /// What lies in the Secret is no authority, or nothing can be signed with it.
    #[error(transparent)]
    Authority(#[from] Unusable),
    /// The certificate cannot be written.
    #[error(transparent)]
    File(Problem),
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::NoCluster => problem(start::issuer_no_cluster()),
            Error::Store(refused) => refused.problem(),
            Error::Authority(unusable) => unusable.problem(),
            Error::File(problem) => problem,
        }
    }
}

/// Makes the certificate of the Service, and keeps it valid.
#[derive(Debug)]
pub struct Issuer {
    store: Store,
    service: String,
    file: PathBuf,
    leaf: Option<Leaf>,
}

impl Issuer {
    /// Issues the first certificate; waits for as long as the API server does not answer, unless an earlier start
    /// in the same pod left a certificate that is still valid.
    ///
    /// # Errors
    /// If the API server refuses for half a minute, or the Secret holds something else.
    pub async fn start(client: Client, service: &str, file: &Path) -> Result<Self, Error> {
        let mut issuer =
            Self { store: Store::new(client), service: service.to_owned(), file: file.to_owned(), leaf: None };
        let mut backoff = Backoff::new(RETRY.0, RETRY.1);
        let started = Instant::now();
        loop {
            match issuer.look().await {
                Ok(()) => return Ok(issuer),
                Err(error) if error.is_final() || (error.is_refusal() && started.elapsed() >= REFUSAL_DEADLINE) => {
                    return Err(error);
                }
                Err(error) if !error.is_refusal() && is_valid(file) => {
                    let error = chain(&error);
                    tracing::warn!(error, "The certificate of the last start is used until the API server answers");
                    return Ok(issuer);
                }
                Err(error) => tracing::warn!(error = chain(&error), "No certificate can be issued yet: trying again"),
            }
            sleep(backoff.next()).await;
        }
    }

    /// Renews the certificate in time, until it is stopped.
    pub async fn run(&mut self, stop: CancellationToken) {
        let mut backoff = Backoff::new(RETRY.0, RETRY.1);
        let mut delay = if self.leaf.is_some() { LOOK_INTERVAL } else { backoff.next() };
        while stop.run_until_cancelled(sleep(delay)).await.is_some() {
            delay = match self.look().await {
                Ok(()) => {
                    backoff.reset();
                    LOOK_INTERVAL
                }
                Err(error) => {
                    let error = chain(&error);
                    tracing::warn!(error, "The certificate's authority cannot be looked after: trying again");
                    backoff.next()
                }
            };
        }
    }

    /// Has the authorities, what is published of them, and the certificate be as they should.
    async fn look(&mut self) -> Result<(), Error> {
        let now = now() / 1_000_000_000;
        let authorities = self.authorities(now).await?;
        self.store.publish(&authorities.bundle()).await?;
        if self.leaf.as_ref().is_some_and(|leaf| authorities.has_issued(leaf, now)) {
            return Ok(());
        }
        let leaf = authorities.issue(&self.names(), now)?;
        replace(&self.file, leaf.pem.as_bytes()).map_err(|error| {
            Error::File(problem(start::issuer_file(self.file.display().to_string(), error.to_string())))
        })?;
        tracing::info!(service = self.service, days = (leaf.until - now) / 86_400, "A certificate was made");
        self.leaf = Some(leaf);
        Ok(())
    }

    /// Those of the Secret, with another one if the youngest ends soon. Of several aggregators that make one, the first
    /// is right.
    async fn authorities(&self, now: i64) -> Result<Authorities, Error> {
        loop {
            let held = self.store.read().await?;
            let (authorities, is_changed) = Authorities::read(&held.certificates, &held.keys)?.renewed(now)?;
            if !is_changed || self.store.write(held, authorities.bundle(), authorities.keys()).await? {
                return Ok(authorities);
            }
        }
    }

    /// What the certificate is for: the Service as pods of this and of other namespaces call it, and a port that is
    /// forwarded.
    fn names(&self) -> Vec<String> {
        let (service, namespace) = (&self.service, self.store.namespace());
        vec![
            service.clone(),
            format!("{service}.{namespace}"),
            format!("{service}.{namespace}.svc"),
            "localhost".to_owned(),
        ]
    }
}

impl Error {
    /// No waiting helps.
    fn is_final(&self) -> bool {
        matches!(self, Self::NoCluster | Self::Authority(_) | Self::File(_))
    }

    fn is_refusal(&self) -> bool {
        matches!(self, Self::Store(refused) if refused.is_refusal())
    }
}

/// Whether a file holds a certificate that is valid now.
fn is_valid(file: &Path) -> bool {
    let until = fs::read(file).ok().and_then(|pem| expire_time(&CertificateDer::from_pem_slice(&pem).ok()?));
    until.is_some_and(|until| until > now() / 1_000_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_of_the_last_start_is_used_only_while_it_is_valid() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("tls.pem");
        assert!(!is_valid(&file), "there is none");
        let issued = |time: i64| {
            let (authorities, _) = Authorities::read("", "").unwrap().renewed(time).unwrap();
            authorities.issue(&["coroner-aggregator".to_owned()], time).unwrap()
        };
        let seconds = now() / 1_000_000_000;
        replace(&file, issued(seconds).pem.as_bytes()).unwrap();
        assert!(is_valid(&file));
        replace(&file, issued(seconds - 100 * 86_400).pem.as_bytes()).unwrap();
        assert!(!is_valid(&file), "it has expired");
        replace(&file, b"no certificate").unwrap();
        assert!(!is_valid(&file));
    }
}
