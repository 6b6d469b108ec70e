//! Where to listen.

use std::{fmt, net::SocketAddr, path::PathBuf, str::FromStr};

/// An address at which to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// An address of this machine; port 0 for any free one.
    Tcp(SocketAddr),
    /// A socket in the file system.
    Unix(PathBuf),
}

/// A text that names no endpoint.
#[derive(Debug, thiserror::Error)]
#[error("give IP:PORT, as 127.0.0.1:7070, or unix:///PATH")]
pub struct Invalid;

impl FromStr for Endpoint {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text.strip_prefix("unix://") {
            Some(path) if path.starts_with('/') => Ok(Self::Unix(path.into())),
            Some(_) => Err(Invalid),
            None => text.parse().map(Self::Tcp).map_err(|_| Invalid),
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
