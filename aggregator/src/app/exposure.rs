//! What must not be reachable from other machines, unless it is asked for: plain text, and services for unknown
//! callers.

use std::net::SocketAddr;

use crate::{config::Config, net::Endpoint};

/// A listener that would be open to more than is meant.
#[derive(Debug, thiserror::Error)]
pub enum Exposed {
    /// Other machines could read along.
    #[error(
        "{0} is reachable from other machines, and without TLS anyone between could read and forge: give --issue-tls, or --tls-cert \
         and --tls-key, or --insecure if the network is protected otherwise"
    )]
    PlainText(SocketAddr),
    /// Anyone who can connect to it could push and read.
    #[error(
        "{0} is reachable from other machines, and callers there could not be distinguished: give --tls-client-ca, run where there is \
         an API server to review tokens, or give --insecure if the network is protected otherwise"
    )]
    Anonymous(SocketAddr),
}

/// Refuses plain text beyond this machine unless it is asked for.
///
/// # Errors
/// [`Exposed::PlainText`].
pub fn check_exposure(config: &Config) -> Result<(), Exposed> {
    match exposed(config) {
        Some(address) if config.tls_files().is_none() => Err(Exposed::PlainText(address)),
        _ => Ok(()),
    }
}

/// Refuses to serve other machines unless it is asked to.
///
/// # Errors
/// [`Exposed::Anonymous`].
pub(super) fn check_credentials(config: &Config, asks: bool) -> Result<(), Exposed> {
    match exposed(config) {
        Some(address) if !asks => Err(Exposed::Anonymous(address)),
        _ => Ok(()),
    }
}

/// An address that other machines reach, unless that is wanted without protection.
fn exposed(config: &Config) -> Option<SocketAddr> {
    let is_exposed = |endpoint: &Endpoint| match endpoint {
        Endpoint::Tcp(address) if !is_loopback(endpoint) => Some(*address),
        Endpoint::Tcp(_) | Endpoint::Unix(_) => None,
    };
    config.listen.iter().chain(&config.http_listen).find_map(is_exposed).filter(|_| !config.insecure)
}

/// Whether it is an address that this machine alone reaches.
pub(super) fn is_loopback(endpoint: &Endpoint) -> bool {
    matches!(endpoint, Endpoint::Tcp(address) if address.ip().to_canonical().is_loopback())
}
