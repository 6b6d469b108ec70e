//! A cluster without machines: the stand-ins for API server and kubelet, and the real agent and aggregator beside them.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::api_server::ApiServer;
use crate::coroner::{Coroner, Surroundings};
use crate::daemon::Daemon;
use crate::kubelet_server::KubeletServer;
use crate::scratch::Scratch;

/// The cluster. Dropped, it leaves nothing behind.
#[derive(Debug)]
pub struct Cluster {
    /// Its API server.
    pub api: ApiServer,
    /// The kubelet of its one node.
    pub kubelet: KubeletServer,
    scratch: Scratch,
}

impl Cluster {
    /// Starts one without objects.
    ///
    /// # Errors
    /// What the machine refused; the agent needs root.
    pub async fn start() -> Result<Self> {
        Ok(Self { api: ApiServer::start().await?, kubelet: KubeletServer::start().await?, scratch: Scratch::new()? })
    }

    /// A directory that goes away with the cluster.
    pub fn directory(&self) -> PathBuf {
        self.scratch.directory()
    }

    /// Starts a program beside it, with its output in `log`.
    ///
    /// # Errors
    /// That it does not start.
    pub fn daemon(&self, program: &Path, arguments: &[String], log: PathBuf) -> Result<Daemon> {
        Daemon::start(program, arguments, &self.scratch.daemons(), log)
    }

    /// Agent and aggregator, once the agent's sources of these names see.
    ///
    /// # Errors
    /// What did not start, with its log.
    pub async fn coroner(&self, sources: &[&'static str]) -> Result<Coroner> {
        self.coroner_in(Surroundings { sources: sources.into(), ..self.surroundings()? }).await
    }

    /// The same, configured otherwise.
    ///
    /// # Errors
    /// What did not start, with its log.
    pub async fn coroner_in(&self, mut surroundings: Surroundings) -> Result<Coroner> {
        surroundings.agent.extend(["--cri-endpoint", "none", "--containerd-endpoint", "none"].map(str::to_owned));
        Coroner::start_in(self.directory(), &self.scratch.daemons(), surroundings).await
    }

    /// How agent and aggregator reach the stand-ins.
    ///
    /// # Errors
    /// What the file system refused.
    pub fn surroundings(&self) -> Result<Surroundings> {
        let path = |name: &str| self.directory().join(name).display().to_string();
        let [of_agent, of_aggregator, ca] = ["kubeconfig", "kubeconfig-of-aggregator", "kubelet-ca.pem"].map(path);
        self.api.write_kubeconfig_of("agent", of_agent.as_ref())?;
        self.api.write_kubeconfig_of("aggregator", of_aggregator.as_ref())?;
        self.kubelet.write_ca(ca.as_ref())?;
        let url = self.kubelet.url();
        Ok(Surroundings {
            agent: ["--kubeconfig", &of_agent, "--kubelet-url", &url, "--kubelet-ca", &ca].map(str::to_owned).into(),
            aggregator: ["--kubeconfig", &of_aggregator].map(str::to_owned).into(),
            ..Surroundings::default()
        })
    }
}
