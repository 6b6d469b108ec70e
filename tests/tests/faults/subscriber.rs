//! A reader of the feed that comes back with its resume token as often as it is sent away, and holds what it hears against
//! what was told.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use coroner_proto::v1::watch_diagnoses_request::Start;
use coroner_proto::v1::watch_diagnoses_response::Frame;
use coroner_proto::v1::{Diagnosis, Gap, GapReason, WatchDiagnosesRequest, WatchDiagnosesResponse};
use coroner_tests::PATIENCE;
use coroner_tests::coroner::Client;
use coroner_tests::flow::number_of;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tonic::Status;

use crate::feeder::diagnosis;

/// Before coming back.
const PAUSE: Duration = Duration::from_millis(10);

/// What was heard.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heard {
    /// Of each node, the numbers in the order in which each was heard first. They rise.
    pub(crate) numbers: BTreeMap<u16, Vec<u64>>,
    /// Diagnoses that were heard again.
    pub(crate) repeated: u64,
    pub(crate) gaps: Vec<Gap>,
    /// What no test has told.
    pub(crate) others: Vec<Diagnosis>,
    /// Where to go on.
    pub(crate) token: String,
    /// How often it came back.
    pub(crate) returns: u64,
    /// What must never happen.
    fault: Option<String>,
}

impl Heard {
    pub(crate) fn of(&self, node: u16) -> &[u64] {
        self.numbers.get(&node).map_or(&[], Vec::as_slice)
    }

    /// The numbers up to `last` of a node that have not come.
    pub(crate) fn missing(&self, node: u16, last: u64) -> Vec<u64> {
        let heard = self.of(node);
        (1..=last).filter(|number| heard.binary_search(number).is_err()).collect()
    }

    /// How many records were told to be lost for this reason.
    pub(crate) fn lost(&self, reason: GapReason) -> u64 {
        self.gaps.iter().filter(|gap| gap.reason() == reason).map(Gap::lost_count).sum()
    }

    /// Takes a frame.
    pub(crate) fn take(&mut self, response: WatchDiagnosesResponse) {
        match response.frame {
            Some(Frame::Batch(batch)) => batch.diagnoses.into_iter().for_each(|told| self.take_diagnosis(told)),
            Some(Frame::Gap(gap)) => self.gaps.push(gap),
            Some(Frame::Bookmark(_)) => {}
            None => self.fault = Some("a frame without content".to_owned()),
        }
        self.token = response.resume_token;
    }

    fn take_diagnosis(&mut self, told: Diagnosis) {
        let Some((node, number)) = number_of(&told.uid) else { return self.others.push(told) };
        let heard = self.numbers.entry(node).or_default();
        if told != diagnosis(node, number) {
            self.fault = Some(format!("not as it was told: {told:?}"));
        } else if heard.last().is_none_or(|last| *last < number) {
            heard.push(number);
        } else if heard.binary_search(&number).is_ok() {
            self.repeated += 1;
        } else {
            self.fault = Some(format!("number {number} of node {node} comes behind {:?}", heard.last()));
        }
    }
}

/// Follows the feed until it is dropped.
pub(crate) struct Subscriber {
    heard: watch::Receiver<Heard>,
    task: JoinHandle<()>,
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Subscriber {
    /// From the oldest record on.
    pub(crate) fn start(client: Client) -> Self {
        Self::resume(client, Heard::default())
    }

    /// From where another one was.
    pub(crate) fn resume(client: Client, heard: Heard) -> Self {
        let (sender, heard) = watch::channel(heard);
        Self { heard, task: tokio::spawn(follow(client, sender)) }
    }

    pub(crate) fn heard(&self) -> Heard {
        self.heard.borrow().clone()
    }

    /// Waits until `question` is true of what was heard.
    pub(crate) async fn until(&self, what: &str, question: impl Fn(&Heard) -> bool) -> Result<Heard> {
        let mut heard = self.heard.clone();
        let waiting = heard.wait_for(|heard| heard.fault.is_some() || question(heard));
        let answer = timeout(PATIENCE, waiting).await.map(|answer| answer.map(|heard| Heard::clone(&heard)));
        match answer {
            Ok(Ok(Heard { fault: Some(fault), .. })) => bail!("waiting until {what}: {fault}"),
            Ok(heard) => heard.context("the subscriber has ended"),
            Err(_) => bail!("{what}: not within {PATIENCE:?}; {}", self.progress()),
        }
    }

    /// Waits until all numbers of a node up to this one have come.
    pub(crate) async fn until_all(&self, node: u16, last: u64) -> Result<Heard> {
        let what = format!("everything of node {node} up to {last} has come");
        let heard = self.until(&what, |heard| heard.of(node).last() >= Some(&last)).await?;
        let missing = heard.missing(node, last);
        ensure!(missing.is_empty(), "of node {node}, these have not come: {missing:?}; {:?}", heard.gaps);
        Ok(heard)
    }

    /// Waits until all numbers of the only node up to this one have come but as many as an outbox has told to be lost.
    pub(crate) async fn until_all_but_lost(&self, node: u16, last: u64) -> Result<Heard> {
        let what = format!("everything up to {last} has come or is told to be lost");
        let is_all = |heard: &Heard| {
            let missing = heard.missing(node, last).len() as u64;
            heard.of(node).last() >= Some(&last) && heard.lost(GapReason::OutboxFull) == missing
        };
        self.until(&what, is_all).await
    }

    fn progress(&self) -> String {
        let heard = self.heard.borrow();
        let last: Vec<_> = heard.numbers.iter().map(|(node, numbers)| (node, numbers.len(), numbers.last())).collect();
        format!("heard {last:?} (node, count, last), {} again, {:?}", heard.repeated, heard.gaps)
    }
}

/// Ends only with who is told.
async fn follow(mut client: Client, heard: watch::Sender<Heard>) {
    loop {
        let token = heard.borrow().token.clone();
        // However it ends: what was heard counts.
        let _sent_away: Result<(), Status> = listen(&mut client, start_at(token), &heard).await;
        heard.send_modify(|heard| heard.returns += 1);
        sleep(PAUSE).await;
    }
}

fn start_at(token: String) -> WatchDiagnosesRequest {
    let start = if token.is_empty() { Start::FromOldest(true) } else { Start::ResumeToken(token) };
    WatchDiagnosesRequest { start: Some(start), ..WatchDiagnosesRequest::default() }
}

async fn listen(
    client: &mut Client,
    request: WatchDiagnosesRequest,
    heard: &watch::Sender<Heard>,
) -> Result<(), Status> {
    let mut frames = client.watch_diagnoses(request).await?.into_inner();
    while let Some(response) = frames.message().await? {
        heard.send_modify(|heard| heard.take(response));
    }
    Ok(())
}
