//! A containerd of the test's own: private socket, root and state, and the tests' image in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use k8s_cri::v1::VersionRequest;
use k8s_cri::v1::runtime_service_client::RuntimeServiceClient;
use tonic::transport::{Channel, Endpoint};

use crate::daemon::Daemon;
use crate::image;
use crate::scratch::Scratch;

/// A running containerd that serves the CRI.
#[derive(Debug)]
pub(crate) struct Containerd {
    daemon: Daemon,
    socket: PathBuf,
    channel: Channel,
}

impl Containerd {
    /// Starts it and gives it the image.
    pub(crate) async fn start(scratch: &Scratch) -> Result<Self> {
        let directory = scratch.directory();
        let config = directory.join("containerd.toml");
        fs::write(&config, configuration(&directory)).with_context(|| format!("writing {config:?}"))?;
        let socket = directory.join("containerd.sock");
        let endpoint =
            Endpoint::from_shared(format!("unix://{}", socket.display())).context("naming containerd's socket")?;
        let channel = endpoint.connect_lazy();
        let daemon = serve(scratch, &channel).await?;
        let archive = image::archive(&directory)?;
        image::run(
            Command::new("ctr")
                .arg("-a")
                .arg(&socket)
                .args(["-n", "k8s.io", "images", "import", "--snapshotter", "native"])
                .arg(archive),
        )?;
        Ok(Self { daemon, socket, channel })
    }

    /// Its pid.
    pub(crate) fn pid(&self) -> u32 {
        self.daemon.pid()
    }

    /// Ends it. The containers go on.
    pub(crate) fn stop(&mut self) -> Result<()> {
        self.daemon.stop().map(|_status| ())
    }

    /// Starts it again after [`stop`](Self::stop).
    pub(crate) async fn start_again(&mut self, scratch: &Scratch) -> Result<()> {
        self.daemon = serve(scratch, &self.channel).await?;
        Ok(())
    }

    /// Its socket.
    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// A connection to it.
    pub(crate) fn channel(&self) -> Channel {
        self.channel.clone()
    }
}

/// Starts the daemon and waits until it serves.
async fn serve(scratch: &Scratch, channel: &Channel) -> Result<Daemon> {
    let directory = scratch.directory();
    let arguments = ["--config".to_owned(), directory.join("containerd.toml").display().to_string()];
    let log = directory.join("containerd.log");
    let mut daemon = Daemon::start(Path::new("containerd"), &arguments, &scratch.daemons(), log)?;
    crate::until("containerd serves the CRI", async || {
        daemon.check()?;
        let request = VersionRequest { version: "v1".into() };
        Ok(RuntimeServiceClient::new(channel.clone()).version(request).await.ok())
    })
    .await?;
    Ok(daemon)
}

/// - `restrict_oom_score_adj`: without CAP_SYS_RESOURCE the score cannot be lowered, not even the sandbox' own.
/// - `native`: copies the image (3 MB) for each container and so needs no overlay file system.
fn configuration(directory: &Path) -> String {
    let directory = directory.display();
    let pause = image::PAUSE;
    format!(
        r#"version = 2
root = "{directory}/root"
state = "{directory}/state"
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.tracing.processor.v1.otlp"]

[grpc]
  address = "{directory}/containerd.sock"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  restrict_oom_score_adj = true

  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{directory}/cni/bin"
    conf_dir = "{directory}/cni/net.d"

  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "native"
"#
    )
}
