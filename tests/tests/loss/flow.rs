//! What flows, and the two ends of the flow: an agent's outbox and uplink, fed with numbered diagnoses, and a reader.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use coroner_agent::config::Aggregator;
use coroner_agent::outbox::{self, Outbox, Record};
use coroner_agent::status::{Board, OUTBOX};
use coroner_agent::uplink::Uplink;
use coroner_proto::v1::diagnosis_service_client::DiagnosisServiceClient;
use coroner_proto::v1::watch_diagnoses_request::Start;
use coroner_proto::v1::watch_diagnoses_response::Frame;
use coroner_proto::v1::{SourceHealth, WatchDiagnosesRequest};
use coroner_runtime::backoff::Pace;
use coroner_runtime::metrics::Metrics;
use coroner_runtime::tasks::Supervisor;
use coroner_tests::flow::{diagnosis, name, number_of};
use tokio_util::sync::CancellationToken;
use tonic::transport::Endpoint;

/// The socket of the aggregator of this number.
pub(crate) fn socket(number: u16) -> String {
    format!("feed-{number}.sock")
}

/// What the exporter writes.
pub(crate) const EXPORTED: &str = "exported.jsonl";
/// What the reader writes.
pub(crate) const READ: &str = "read.txt";
/// Where the reader goes on.
const TOKEN: &str = "read.token";
/// An agent prints this before the number of the last diagnosis that its outbox holds on disk.
pub(crate) const DURABLE: &str = "durable ";

/// Diagnoses that an agent appends together.
const TOGETHER: usize = 10;
/// The reader keeps one in so many tokens only, so that its deaths have something repeated.
const FRAMES_A_TOKEN: u32 = 4;
/// Trying again is quick, as deaths are frequent.
const PACE: Pace =
    Pace { first: Duration::from_millis(5), longest: Duration::from_millis(50), hold: Duration::from_secs(60) };

/// Plays this role in the current directory.
pub(crate) fn play(role: &str) -> Result<()> {
    // What the harness has printed does not end its line.
    println!();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("starting a runtime")?;
    let directory = std::env::current_dir().context("finding the directory")?;
    let url = |number| format!("unix://{}", directory.join(socket(number)).display());
    let words: Vec<_> = role.split(' ').collect();
    match words[..] {
        ["reader", aggregators] => runtime.block_on(read((0..aggregators.parse()?).map(url).collect())),
        ["agent", aggregator, node, durable, last] => {
            let numbers = durable.parse::<u64>()? + 1..=last.parse()?;
            runtime.block_on(push(url(aggregator.parse()?), node.parse()?, numbers.collect()))
        }
        _ => bail!("there is no role {role:?}"),
    }
}

/// An agent that diagnoses these and pushes what its outbox holds.
async fn push(url: String, node: u16, numbers: Vec<u64>) -> Result<()> {
    let board = Board::default();
    let outbox = Outbox::open(Path::new(&format!("outbox-{node}.db")), 1 << 30, &name(node), board.clone())?;
    let keeper = outbox::start(outbox, &Supervisor::new(&Metrics::default()).group());
    let aggregator = Aggregator { url, tls: None, token: None };
    let uplink = Uplink::new(name(node), aggregator, keeper.clone(), board.clone(), PACE);
    let uplink = tokio::spawn(uplink.run(CancellationToken::new()));
    for numbers in numbers.chunks(TOGETHER) {
        let records = numbers.iter().map(|number| Record::diagnosis(diagnosis(node, *number)));
        keeper.append(records.collect()).await?;
        keeper.flush().await?;
        let on_disk = board.sources().into_iter().any(|s| s.source == OUTBOX && s.health() == SourceHealth::Ok);
        ensure!(on_disk, "the outbox is not on disk");
        println!("{DURABLE}{}", numbers[numbers.len() - 1]);
    }
    uplink.await?.context("the uplink has ended")
}

/// A reader that writes down what it has got, and then, once in a while, where to go on.
async fn read(urls: Vec<String>) -> Result<()> {
    let mut journal = File::options().create(true).read(true).append(true).open(READ).context("opening the journal")?;
    cut_torn_line(&mut journal).context("cutting off a torn line")?;
    for url in urls.into_iter().cycle() {
        let channel = Endpoint::from_shared(url).context("the socket is an address")?.connect_lazy();
        let mut client = DiagnosisServiceClient::new(channel).max_decoding_message_size(64 << 20);
        let start = match fs::read_to_string(TOKEN) {
            Ok(token) => Start::ResumeToken(token),
            Err(error) if error.kind() == ErrorKind::NotFound => Start::FromOldest(true),
            Err(error) => return Err(error).context("reading the token"),
        };
        let request = WatchDiagnosesRequest { start: Some(start), ..WatchDiagnosesRequest::default() };
        if let Ok(stream) = client.watch_diagnoses(request).await {
            let mut stream = stream.into_inner();
            let mut frames = 0_u32;
            while let Ok(Some(response)) = stream.message().await {
                write_down(&mut journal, response.frame)?;
                frames += 1;
                if !frames.is_multiple_of(FRAMES_A_TOKEN) {
                    continue;
                }
                fs::write("read.token.new", response.resume_token).context("writing the token")?;
                fs::rename("read.token.new", TOKEN).context("writing the token")?;
            }
        }
        tokio::time::sleep(PACE.first).await;
    }
    bail!("there is no aggregator")
}

fn write_down(journal: &mut File, frame: Option<Frame>) -> Result<()> {
    let mut lines = String::new();
    match frame {
        Some(Frame::Batch(batch)) => {
            for received in batch.diagnoses {
                match number_of(&received.uid).filter(|(node, number)| received == diagnosis(*node, *number)) {
                    Some((node, number)) => writeln!(lines, "{node} {number}")?,
                    None => writeln!(lines, "never sent: {received:?}")?,
                }
            }
        }
        Some(Frame::Gap(gap)) => writeln!(lines, "no loss was due: {gap:?}")?,
        Some(Frame::Bookmark(_)) | None => {}
    }
    journal.write_all(lines.as_bytes()).context("writing the journal")
}

/// A kill may have fallen into a write.
fn cut_torn_line(journal: &mut File) -> io::Result<()> {
    let length = journal.metadata()?.len();
    let start = length.saturating_sub(4096);
    let mut tail = Vec::new();
    journal.seek(SeekFrom::Start(start))?;
    journal.read_to_end(&mut tail)?;
    let whole = tail.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| start + at as u64 + 1);
    journal.set_len(whole)
}
