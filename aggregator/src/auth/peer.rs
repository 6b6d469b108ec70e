//! The other end of a connection.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use tokio_rustls::rustls::pki_types::CertificateDer;

use super::{
    certificate::{self, NoRole, Role},
    connections::ConnectionPlace,
    identity::Identity,
};

/// The other end of a connection.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Where the peer's end of the connection is.
    pub address: Address,
    /// The credentials that it has presented.
    pub credentials: Credentials,
    /// Its place among all connections; a socket's file bounds those of its own.
    place: Option<Arc<ConnectionPlace>>,
}

/// Where a connection comes from.
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

impl Peer {
    /// A peer without a known caller so far.
    pub(crate) fn new(address: Address, credentials: Credentials, place: Option<Arc<ConnectionPlace>>) -> Self {
        Self { address, credentials, place }
    }

    /// A known caller has sent a request on the connection. False if it has as many connections as it may.
    pub(super) fn admit(&self, identity: &Identity) -> bool {
        self.place.as_ref().is_none_or(|place| place.admit(identity))
    }

    /// Its address on the network; none of a socket in the file system.
    pub(crate) fn ip(&self) -> Option<IpAddr> {
        match self.address {
            Address::Tcp(address) => Some(address.ip().to_canonical()),
            Address::Unix => None,
        }
    }

    /// Whether a known caller has sent a request.
    pub(crate) fn is_known(&self) -> bool {
        self.place.as_ref().is_none_or(|place| place.is_known())
    }

    /// Closes the connection, if it occupies a place.
    pub(crate) fn close(&self) {
        if let Some(place) = &self.place {
            place.close();
        }
    }
}

/// The credentials that a connection has presented.
#[derive(Clone, Debug)]
pub enum Credentials {
    /// The listener asks for none.
    NotAsked,
    /// None yet: a request may bring a token.
    None,
    /// A certificate that the client CA has issued, with its role.
    Certificate(Result<Role, NoRole>),
}

impl Credentials {
    /// The credentials that a verified certificate presents.
    pub(crate) fn of(certificate: &CertificateDer<'_>) -> Self {
        Self::Certificate(certificate::role(certificate))
    }
}
