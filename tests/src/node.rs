//! A node without Kubernetes: containerd, and the tests in the kubelet's place.

use std::path::{Path, PathBuf};

use anyhow::Result;
use tonic::transport::Channel;

use crate::cgroup::Cgroup;
use crate::containerd::Containerd;
use crate::kubelet::Kubelet;
use crate::scratch::Scratch;

/// A node of the test's own. Dropped, it is gone with all that ran on it.
#[derive(Debug)]
pub struct Node {
    kubelet: Kubelet,
    containerd: Containerd,
    scratch: Scratch,
}

impl Node {
    /// Starts one.
    ///
    /// # Errors
    /// What could not be had: root, containerd, runc, gcc, busybox-static.
    pub async fn start() -> Result<Self> {
        let scratch = Scratch::new()?;
        let containerd = Containerd::start(&scratch).await?;
        let kubelet = Kubelet::new(containerd.channel(), scratch.kubepods(), scratch.directory())?;
        Ok(Self { kubelet, containerd, scratch })
    }

    /// Its kubelet.
    pub fn kubelet(&self) -> &Kubelet {
        &self.kubelet
    }

    /// containerd's socket, which also serves the CRI.
    pub fn socket(&self) -> &Path {
        self.containerd.socket()
    }

    /// A connection to containerd.
    pub fn channel(&self) -> Channel {
        self.containerd.channel()
    }

    /// Its containerd's pid.
    pub fn containerd_pid(&self) -> u32 {
        self.containerd.pid()
    }

    /// Ends containerd. The containers go on.
    ///
    /// # Errors
    /// That it does not end.
    pub fn stop_containerd(&mut self) -> Result<()> {
        self.containerd.stop()
    }

    /// Starts containerd again.
    ///
    /// # Errors
    /// That it does not serve.
    pub async fn start_containerd(&mut self) -> Result<()> {
        self.containerd.start_again(&self.scratch).await
    }

    /// A directory that goes away with the node.
    pub fn directory(&self) -> PathBuf {
        self.scratch.directory()
    }

    /// The cgroup of its daemons.
    pub fn daemons(&self) -> Cgroup {
        self.scratch.daemons()
    }
}
