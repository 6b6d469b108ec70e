//! What must not be reachable from other machines, unless it is asked for: plain text, and services for unknown
//! callers.

use std::net::SocketAddr;

use coroner_runtime::problem::Problem;

use crate::{
    config::Config,
    messages::{problem, start},
    net::Endpoint,
};

/// Refuses plain text beyond this machine unless it is asked for.
///
/// # Errors
/// If an address that other machines reach is without TLS.
pub fn check_exposure(config: &Config) -> Result<(), Problem> {
    match exposed(config) {
        Some(address) if config.tls_files().is_none() => Err(problem(start::exposed_plain(address.to_string()))),
        _ => Ok(()),
    }
}

/// Refuses to serve other machines unless it is asked to.
///
/// # Errors
/// If callers from there would not be authenticated.
pub(super) fn check_credentials(config: &Config, asks: bool) -> Result<(), Problem> {
    match exposed(config) {
        Some(address) if !asks => Err(problem(start::exposed_anonymous(address.to_string()))),
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
