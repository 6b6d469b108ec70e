//! Where to listen.

use std::{fmt, net::SocketAddr, path::PathBuf, str::FromStr};

use coroner_runtime::problem::Problem;

use crate::messages::{problem, start};

/// An address at which to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// An address of this machine; port 0 for any free one.
    Tcp(SocketAddr),
    /// A socket in the file system.
    Unix(PathBuf),
}

impl FromStr for Endpoint {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        let invalid = || problem(start::not_an_endpoint());
        match text.strip_prefix("unix://") {
            Some(path) if path.starts_with('/') => Ok(Self::Unix(path.into())),
            Some(_) => Err(invalid()),
            None => text.parse().map(Self::Tcp).map_err(|_| invalid()),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_addresses_or_absolute_paths() {
        assert_eq!("unix:///run/a.sock".parse::<Endpoint>().unwrap(), Endpoint::Unix("/run/a.sock".into()));
        assert_eq!("[::1]:0".parse::<Endpoint>().unwrap().to_string(), "[::1]:0");
        for wrong in ["unix://a", "localhost:7070", "7070", "http://127.0.0.1:7070", ""] {
            assert!(wrong.parse::<Endpoint>().is_err(), "{wrong}");
        }
    }
}
