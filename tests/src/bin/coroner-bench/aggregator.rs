//! The aggregator by itself, over a ledger on disk.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};
use coroner_proto::v1::GetStatusRequest;
use coroner_proto::v1::diagnosis_service_client::DiagnosisServiceClient;
use coroner_proto::v1::ingest_service_client::IngestServiceClient;
use tempfile::TempDir;
use tonic::transport::{Channel, Endpoint};

/// More than one answer to a reader holds.
const MAX_ANSWER_BYTES: usize = 64 << 20;

/// A running aggregator; its ledger goes with it.
pub(crate) struct Aggregator {
    child: Child,
    endpoint: Endpoint,
    page: Option<SocketAddr>,
    _directory: TempDir,
}

impl Aggregator {
    /// One that watches no cluster.
    pub(crate) async fn start() -> Result<Self> {
        Self::start_with(&["--cluster-watch", "off"]).await
    }

    /// One with these arguments beside those that each has.
    pub(crate) async fn start_with(arguments: &[&str]) -> Result<Self> {
        let arguments = [arguments, &["--http-listen", "127.0.0.1:0"]].concat();
        Self::run(&coroner_tests::coroner::aggregator()?, &arguments, Some("serving the page on ")).await
    }

    /// Another build of it, which may know no page; it watches no cluster.
    pub(crate) async fn start_build(program: &Path) -> Result<Self> {
        Self::run(program, &["--cluster-watch", "off"], None).await
    }

    /// Waits until the log names the address of the feed, and that of the page after `page_at`.
    async fn run(program: &Path, arguments: &[&str], page_at: Option<&str>) -> Result<Self> {
        let directory = tempfile::tempdir().context("making a directory for the ledger")?;
        let log = directory.path().join("aggregator.log");
        let mut child = Command::new(program)
            .args(["--listen", "127.0.0.1:0", "--retain-bytes", "1TiB", "--ledger"])
            .arg(directory.path().join("ledger.db"))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).with_context(|| format!("creating {log:?}"))?)
            .spawn()
            .with_context(|| format!("starting {program:?}"))?;
        let listening = coroner_tests::until("the aggregator listens", async || {
            let log_text = fs::read_to_string(&log).context("reading the aggregator's log")?;
            if let Some(status) = child.try_wait().context("waiting for the aggregator")? {
                bail!("the aggregator has ended ({status})\n{log_text}");
            }
            let address = |before| Some(log_text.split_once(before)?.1.split_once('\n')?.0.to_owned());
            let page = page_at.map(address);
            Ok(address("listening on ").filter(|_| page != Some(None)).map(|listen| (listen, page.flatten())))
        });
        let listening = listening.await;
        if listening.is_err() {
            child.kill().context("ending the aggregator")?;
            child.wait().context("ending the aggregator")?;
        }
        let (listen, page) = listening?;
        let page = page.map(|page| page.parse().context("the address of the page")).transpose()?;
        let endpoint = Endpoint::from_shared(format!("http://{listen}")).context("the address of the aggregator")?;
        Ok(Self { child, endpoint: endpoint.tcp_nodelay(true), page, _directory: directory })
    }

    /// Where the page is served.
    pub(crate) fn page(&self) -> Result<SocketAddr> {
        self.page.context("this aggregator serves no page")
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// An agent's client on a connection of its own.
    pub(crate) async fn ingest(&self) -> Result<IngestServiceClient<Channel>> {
        Ok(IngestServiceClient::new(self.connect().await?))
    }

    /// A reader's client on a connection of its own.
    pub(crate) async fn feed(&self) -> Result<DiagnosisServiceClient<Channel>> {
        Ok(DiagnosisServiceClient::new(self.connect().await?).max_decoding_message_size(MAX_ANSWER_BYTES))
    }

    /// Waits until all that is stored can be read.
    pub(crate) async fn settled(&self) -> Result<()> {
        let mut client = self.feed().await?;
        coroner_tests::until("all that is stored can be read", async || {
            let status = client.get_status(GetStatusRequest {}).await.context("GetStatus")?.into_inner();
            Ok((status.waiting_count == 0).then_some(()))
        })
        .await
    }

    async fn connect(&self) -> Result<Channel> {
        self.endpoint.connect().await.context("connecting to the aggregator")
    }
}

impl Drop for Aggregator {
    fn drop(&mut self) {
        for ended in [self.child.kill(), self.child.wait().map(drop)] {
            if let Err(error) = ended {
                eprintln!("ending the aggregator: {error}");
            }
        }
    }
}
