//! Where a daemon of the node listens.

use std::path::{Path, PathBuf};

use super::connection::RuntimeError;

/// The setting of a unix socket: searched, given or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Socket {
    /// The daemon is not to be asked.
    Off,
    /// There, as `unix:///path`.
    At(String),
    /// The first of these that exists. It is looked for at each attempt: a daemon may be installed after the agent.
    FirstOf(Vec<PathBuf>),
}

impl Socket {
    /// The first of the known sockets below the node's root.
    pub(crate) fn first_of(root: &Path, known: &[&str]) -> Self {
        Self::FirstOf(known.iter().map(|socket| root.join(socket)).collect())
    }

    /// Its address now, `unix:///path`. `daemon`: whose it is.
    pub(super) fn find(&self, daemon: &'static str) -> Result<String, RuntimeError> {
        match self {
            Self::Off => Err(RuntimeError::Off(daemon)),
            Self::At(address) => Ok(address.clone()),
            Self::FirstOf(known) => {
                let mut hidden = None;
                for socket in known {
                    match socket.try_exists() {
                        Ok(true) => return Ok(format!("unix://{}", socket.display())),
                        Err(error) if hidden.is_none() => hidden = Some((socket.display().to_string(), error)),
                        Ok(false) | Err(_) => {}
                    }
                }
                let (socket, source) = hidden.ok_or(RuntimeError::NoSocket(daemon))?;
                Err(RuntimeError::Hidden { socket, source })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_that_appears_later_is_found() {
        let root = tempfile::tempdir().unwrap();
        let socket = Socket::first_of(root.path(), &["run/containerd.sock", "run/crio.sock"]);
        let found = || socket.find("CRI").map_err(|error| error.to_string());
        assert_eq!(found(), Err("this node has no CRI socket".to_owned()));
        std::fs::create_dir_all(root.path().join("run")).unwrap();
        for name in ["crio.sock", "containerd.sock"] {
            let path = root.path().join("run").join(name);
            std::fs::write(&path, "").unwrap();
            assert_eq!(found(), Ok(format!("unix://{}", path.display())));
        }
        // A link to itself stands for a directory that may not be searched: root may search every one.
        let circle = root.path().join("circle");
        std::os::unix::fs::symlink(&circle, &circle).unwrap();
        let hidden = Socket::first_of(root.path(), &["circle/crio.sock", "nowhere/crio.sock"]);
        let reason = hidden.find("CRI").unwrap_err().to_string();
        assert_eq!(reason, format!("{} cannot be looked at", circle.join("crio.sock").display()));
        assert_eq!(Socket::Off.find("CRI").unwrap_err().to_string(), "CRI is switched off");
    }
}
