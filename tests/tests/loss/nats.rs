//! nats-server with JetStream on files. It lives: that its streams survive its death is its own tests' matter.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use coroner_tests::PATIENCE;
use serde_json::Value;

/// A running server, ended with this.
pub(crate) struct Server {
    pub(crate) port: u16,
    child: Child,
}

impl Server {
    pub(crate) fn start(directory: &Path) -> Result<Self> {
        let mut command = Command::new("nats-server");
        command.args(["--addr", "127.0.0.1", "--port", "-1", "--jetstream", "--store_dir"]).arg(directory.join("nats"));
        command.arg("--ports_file_dir").arg(directory);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().context("starting nats-server, which `make test` installs")?;
        let mut server = Self { port: 0, child };
        let ports = directory.join(format!("nats-server_{}.ports", server.child.id()));
        let diagnosis = || {
            let ports: Value = serde_json::from_str(&fs::read_to_string(&ports).ok()?).ok()?;
            ports["nats"][0].as_str()?.rsplit_once(':')?.1.parse::<u16>().ok()
        };
        let started = Instant::now();
        loop {
            if let Some(port) = diagnosis() {
                server.port = port;
                return Ok(server);
            }
            ensure!(started.elapsed() < PATIENCE, "nats-server does not listen");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may be dead already; then this does nothing.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
