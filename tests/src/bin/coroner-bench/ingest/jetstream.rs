//! NATS JetStream on files, from the distribution's nats-server: each batch is published at once and all of its
//! acknowledgements are awaited.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use async_nats::Client;
use futures::StreamExt;
use futures::future::try_join_all;
use prost::Message;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::load::{self, Load};

/// The longest that the server may be silent while acknowledgements are awaited.
const SILENCE: Duration = Duration::from_secs(60);

/// A running server; its store goes with it.
pub(super) struct Server {
    child: Child,
    port: u16,
    syncs: &'static str,
    _directory: TempDir,
}

impl Server {
    /// The server, or why there is none.
    pub(super) async fn start() -> Result<Result<Self, String>> {
        if Command::new("nats-server").arg("--version").stdout(Stdio::null()).status().is_err() {
            return Ok(Err("nats-server is not installed".into()));
        }
        for setting in [true, false] {
            if let Some(server) = Self::try_start(setting).await? {
                return Ok(Ok(server));
            }
        }
        bail!("nats-server does not start")
    }

    /// Servers before 2.10 do not know the setting that has each message synced, and do not start with it. Without it
    /// they write each message before they acknowledge it, and leave the sync to the kernel, which can be configured to
    /// do it at once.
    async fn try_start(setting: bool) -> Result<Option<Self>> {
        let directory = tempfile::tempdir().context("making a directory for nats-server")?;
        let place = directory.path();
        let store = place.join("store");
        fs::create_dir(&store).with_context(|| format!("making {store:?}"))?;
        let is_synchronous =
            || Command::new("chattr").arg("+S").arg(&store).status().is_ok_and(|status| status.success());
        let (syncs, setting) = match setting {
            true => ("each synced", "sync_interval: always"),
            false if is_synchronous() => ("each written synchronously (chattr +S)", ""),
            false => ("not synced (this version cannot)", ""),
        };
        let configuration = format!(
            "listen: \"127.0.0.1:-1\"\nports_file_dir: {place:?}\njetstream {{ store_dir: {store:?}\n {setting} }}\n"
        );
        let file = place.join("nats.conf");
        fs::write(&file, configuration).with_context(|| format!("writing {file:?}"))?;
        let mut command = Command::new("nats-server");
        command.arg("--config").arg(&file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().context("starting nats-server")?;
        let mut server = Self { child, port: 0, syncs, _directory: directory };
        let ports = server._directory.path().join(format!("nats-server_{}.ports", server.child.id()));
        let port = coroner_tests::until("nats-server listens", async || {
            if server.child.try_wait().context("waiting for nats-server")?.is_some() {
                return Ok(Some(None));
            }
            Ok(port(&ports).map(Some))
        });
        match port.await? {
            Some(port) => {
                server.port = port;
                Ok(Some(server))
            }
            None => Ok(None),
        }
    }

    /// How durable a message is when it is acknowledged.
    pub(super) fn syncs(&self) -> &'static str {
        self.syncs
    }

    /// Publishes all of it and gives messages a second. Connections, and what is published over them, are made before.
    pub(super) async fn publish(&self, load: &Load) -> Result<f64> {
        let address = format!("127.0.0.1:{}", self.port);
        let connect = async || async_nats::connect(&address).await.context("connecting to nats-server");
        let stream = json!({"name": "DEATHS", "subjects": ["deaths.>"], "storage": "file"});
        let made = connect().await?.request("$JS.API.STREAM.CREATE.DEATHS", stream.to_string().into()).await;
        let made: Value = serde_json::from_slice(&made.context("creating a stream")?.payload)?;
        ensure!(made.get("error").is_none(), "creating a stream: {made}");
        let mut clients = Vec::new();
        let mut count = 0_u64;
        for agent in 0..load.agents() {
            let batches: Vec<Vec<Vec<u8>>> = load
                .batches(agent)
                .map(|numbers| numbers.map(|n| load::diagnosis(agent, n).encode_to_vec()).collect())
                .collect();
            count += batches.iter().map(|batch| batch.len() as u64).sum::<u64>();
            clients.push((connect().await?, batches));
        }
        let started = Instant::now();
        let tasks = clients.into_iter().map(|(client, batches)| tokio::spawn(publish(client, batches)));
        for done in try_join_all(tasks.collect::<Vec<_>>()).await.context("a client's task")? {
            done?;
        }
        Ok(count as f64 / started.elapsed().as_secs_f64())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for ended in [self.child.kill(), self.child.wait().map(drop)] {
            if let Err(error) = ended {
                eprintln!("ending nats-server: {error}");
            }
        }
    }
}

async fn publish(client: Client, batches: Vec<Vec<Vec<u8>>>) -> Result<()> {
    let inbox = client.new_inbox();
    let mut answers = client.subscribe(inbox.clone()).await.context("subscribing to acknowledgements")?;
    for batch in batches {
        let count = batch.len();
        for body in batch {
            client.publish_with_reply("deaths.all", inbox.clone(), body.into()).await.context("publishing")?;
        }
        for _ in 0..count {
            let answer = tokio::time::timeout(SILENCE, answers.next()).await.context("no acknowledgement in time")?;
            let answer: Value = serde_json::from_slice(&answer.context("nats-server has gone")?.payload)?;
            ensure!(answer["seq"].is_u64(), "not acknowledged: {answer}");
        }
    }
    Ok(())
}

/// The address in the server's log, once it listens.
fn port(file: &Path) -> Option<u16> {
    let ports: Value = serde_json::from_str(&fs::read_to_string(file).ok()?).ok()?;
    ports["nats"][0].as_str()?.rsplit_once(':')?.1.parse().ok()
}
