//! The other end of a connection.

use std::{
    fmt,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::sync::OwnedSemaphorePermit;
use tokio_rustls::rustls::pki_types::CertificateDer;

use super::certificate::{self, NoRole, Role};

/// The other end of a connection.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Where it is.
    pub address: Address,
    /// What it has shown.
    pub credentials: Credentials,
    admission: Arc<Admission>,
}

/// Where a peer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Address {
    /// On the network.
    Tcp(SocketAddr),
    /// On this machine, with access to the socket's file.
    Unix,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix => f.write_str("unix"),
        }
    }
}

/// Whether a known caller has sent a request.
#[derive(Debug, Default)]
struct Admission {
    known: AtomicBool,
    /// Its place among the connections without a known caller.
    place: Mutex<Option<OwnedSemaphorePermit>>,
}

impl Peer {
    /// A peer without a known caller so far.
    pub(crate) fn new(address: Address, credentials: Credentials) -> Self {
        Self { address, credentials, admission: Arc::default() }
    }

    /// A known caller has sent a request on the connection, which frees its place among the unknown ones.
    pub(super) fn admit(&self) {
        if !self.admission.known.swap(true, Ordering::Relaxed) {
            drop(self.admission.place.lock().unwrap_or_else(PoisonError::into_inner).take());
        }
    }

    /// Holds this place until a known caller sends a request.
    pub(crate) fn hold(&self, place: OwnedSemaphorePermit) {
        *self.admission.place.lock().unwrap_or_else(PoisonError::into_inner) = Some(place);
    }

    /// Whether a known caller has sent a request.
    pub(crate) fn is_known(&self) -> bool {
        self.admission.known.load(Ordering::Relaxed)
    }
}

/// What a connection has shown of itself.
#[derive(Clone, Debug)]
pub enum Credentials {
    /// The listener asks for none.
    NotAsked,
    /// None yet: a request may bring a token.
    None,
    /// A certificate that the client CA vouches for, with its role.
    Certificate(Result<Role, NoRole>),
}

impl Credentials {
    /// What a certificate shows that was verified.
    pub(crate) fn of(certificate: &CertificateDer<'_>) -> Self {
        Self::Certificate(certificate::role(certificate))
    }
}
