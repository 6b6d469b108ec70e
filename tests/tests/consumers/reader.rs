//! The reader of docs/feed.md, as it stands there: generated, run and killed.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use coroner_proto::v1::outbox_record::Record;
use coroner_proto::v1::{Gap, GapReason};
use coroner_tests::until;

use crate::aggregator::{Aggregator, certificates, diagnosis, uid};
use crate::python::{self, Process, REPOSITORY};

/// How many lines each life of the reader has to print before it is killed; 0 has it die while it starts.
const LIVES: [usize; 12] = [1, 60, 0, 101, 250, 7, 0, 399, 2, 33, 180, 1];
const BATCH: u64 = 17;
const BATCHES: u64 = 130;
/// Diagnoses in one frame, unless a reader requests more: the number that a killed reader may get twice.
const FRAME: u64 = 100;

/// The page's blocks of code about Python: what to type first, and the program.
fn page() -> Result<(String, String)> {
    let page = fs::read_to_string(Path::new(REPOSITORY).join("docs/feed.md"))?;
    let (_, section) = page.split_once("## A reader in Python").context("no such section")?;
    let mut blocks = section.split("\n```").skip(1).step_by(2);
    let mut block = |kind| blocks.next()?.strip_prefix(kind).map(str::to_owned);
    block("\n").zip(block("python\n")).context("no such blocks")
}

/// Makes in this directory all that the page wants: certificates, the protocol, what is generated from it, and the
/// program.
fn prepare(directory: &Path) -> Result<()> {
    let repository = Path::new(REPOSITORY).canonicalize()?;
    certificates(directory)?;
    symlink(repository.join("proto"), directory.join("proto"))?;
    let (shell, program) = page()?;
    let (pip, generate) = shell.trim().split_once('\n').context("two lines")?;
    ensure!(pip == "pip install grpcio-tools", "what does {pip:?} install?");
    let path = format!("{}:{}", python::environment()?.join("bin").display(), std::env::var("PATH")?);
    let output = Command::new("sh").args(["-c", generate]).current_dir(directory).env("PATH", path).output()?;
    ensure!(output.status.success(), "{generate}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(fs::write(directory.join("reader.py"), program)?)
}

/// The numbers of the diagnoses that a life has printed, in their order, and how many losses it got.
fn printed(output: &Path) -> Result<(Vec<u64>, usize)> {
    let text = fs::read_to_string(output)?;
    // Where it was killed while it printed, the last line is not whole.
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let (lost, lines_printed): (Vec<&str>, Vec<&str>) = whole.lines().partition(|line| line.starts_with("lost: "));
    let number = |line: &&str| {
        let n = line.rsplit_once(' ')?.1.parse().ok()?;
        let expected = format!("{}:1 CAUSE_OOM_POD_LIMIT shop/web-{n} number {n}", uid(n));
        (**line == expected).then_some(n)
    };
    let numbers = lines_printed.iter().map(|line| number(line).with_context(|| format!("printed {line:?}")));
    Ok((numbers.collect::<Result<_>>()?, lost.len()))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reader_of_the_page_misses_nothing_however_often_it_is_killed() -> Result<()> {
    let directory = tempfile::tempdir()?;
    prepare(directory.path())?;
    let tls = |name: &str| directory.path().join("coroner-tls/aggregator").join(name).display().to_string();
    let flags = [
        ["--listen", "127.0.0.1:0"],
        ["--tls-cert", &tls("tls.crt")],
        ["--tls-key", &tls("tls.key")],
        ["--tls-client-ca", &tls("ca.crt")],
    ];
    let flags = flags.concat().into_iter().map(str::to_owned).collect();
    let mut aggregator = Aggregator::start_in(directory, flags).await?;
    let directory = aggregator.directory().to_owned();
    let log = aggregator.log()?;
    let port = log.split("listening on 127.0.0.1:").nth(1).and_then(|rest| rest.split_whitespace().next());
    let address = format!("localhost:{}", port.context("a port")?);
    let pushing = tokio::spawn(async move {
        for batch in 0..BATCHES {
            let numbers = batch * BATCH + 1..=(batch + 1) * BATCH;
            let mut records: Vec<Record> = numbers.map(|n| Record::Diagnosis(diagnosis(n))).collect();
            if batch == BATCHES / 2 {
                let reason = GapReason::Overrun.into();
                records.push(Record::Gap(Gap { node: "n1".into(), reason, text: "much".into(), ..Gap::default() }));
            }
            aggregator.push_records(records).await?;
            // So that some of it is replayed and some of it arrives while a reader is there.
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        anyhow::Ok(aggregator)
    });

    let (mut lives, mut next, mut losses) = (LIVES.iter(), 1, 0);
    for life in 1.. {
        let output = directory.join(format!("life-{life}.out"));
        let errors = directory.join(format!("life-{life}.err"));
        let mut command = python::python()?;
        command.args(["reader.py", &address]).current_dir(&directory);
        let mut reader = Process::start(command.stdout(File::create(&output)?).stderr(File::create(&errors)?))?;
        let wanted = lives.next();
        let enough = |numbers: &[u64]| match wanted {
            Some(lines) => numbers.len() >= *lines,
            None => numbers.last() == Some(&(BATCHES * BATCH)),
        };
        let reading = until("the reader prints what is expected of it", async || {
            reader.check()?;
            Ok(enough(&printed(&output)?.0).then_some(()))
        });
        reading.await.with_context(|| fs::read_to_string(&errors).unwrap_or_default())?;
        reader.kill()?;
        let (numbers, lost) = printed(&output)?;
        losses += lost;
        let lines_printed = || format!("life {life} printed {numbers:?}, {next} was next");
        ensure!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "{}", lines_printed());
        if let (Some(first), Some(last)) = (numbers.first(), numbers.last()) {
            ensure!(*first <= next && first + FRAME >= next, "{}", lines_printed());
            next = last + 1;
        }
        if wanted.is_none() {
            break;
        }
    }
    drop(pushing.await??);
    ensure!(next == BATCHES * BATCH + 1, "{next} was next");
    // Once, and again if it was killed before it had kept the token behind it.
    ensure!((1..=2).contains(&losses), "{losses} losses were reported");
    Ok(())
}
