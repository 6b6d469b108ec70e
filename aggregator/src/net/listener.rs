//! Listeners: TCP and unix sockets.

use std::{
    fs, io,
    net::SocketAddr,
    os::unix::{fs::PermissionsExt, net::UnixStream},
    path::{Path, PathBuf},
};

use coroner_runtime::problem::Problem;
use tokio::net::{TcpListener, UnixListener};

use super::endpoint::Endpoint;
use crate::messages::{problem, start};

/// A listener that is bound to its address.
#[derive(Debug)]
pub enum Listener {
    /// With TLS where that is configured.
    Tcp(TcpListener, SocketAddr),
    /// Without; the file system decides who may connect.
    Unix(UnixListener, SocketFile),
}

/// A socket's file, removed with it.
#[derive(Debug)]
pub struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // It may be gone with its directory.
        let _gone = fs::remove_file(&self.0);
    }
}

impl Listener {
    /// Binds a listener. A socket without a listening process is replaced.
    ///
    /// # Errors
    /// If its address is taken, not this machine's, or not allowed.
    pub fn bind(endpoint: &Endpoint) -> Result<Self, Problem> {
        let bound = match endpoint {
            Endpoint::Tcp(address) => bind_tcp(*address),
            Endpoint::Unix(path) => bind_unix(path),
        };
        bound.map_err(|error| problem(start::cannot_listen(endpoint.to_string(), error.to_string())))
    }

    /// Where it listens; the real port where port 0 was asked for.
    pub fn endpoint(&self) -> Endpoint {
        match self {
            Self::Tcp(_, address) => Endpoint::Tcp(*address),
            Self::Unix(_, SocketFile(path)) => Endpoint::Unix(path.clone()),
        }
    }
}

fn bind_tcp(address: SocketAddr) -> io::Result<Listener> {
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    let address = listener.local_addr()?;
    Ok(Listener::Tcp(listener, address))
}

fn bind_unix(path: &Path) -> io::Result<Listener> {
    let stale = UnixStream::connect(path).is_err_and(|e| e.kind() == io::ErrorKind::ConnectionRefused);
    if stale {
        fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o660))?;
    Ok(Listener::Unix(listener, SocketFile(path.into())))
}
