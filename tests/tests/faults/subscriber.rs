//! A reader of the feed that resumes with its token as often as its stream ends, and compares what it receives with
//! what was pushed.

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

/// What was received.
#[derive(Clone, Debug, Default)]
pub(crate) struct Received {
    /// Of each node, the numbers in the order in which each was received first. They rise.
    pub(crate) numbers: BTreeMap<u16, Vec<u64>>,
    /// Diagnoses that were received again.
    pub(crate) repeated: u64,
    pub(crate) gaps: Vec<Gap>,
    /// What no test has pushed.
    pub(crate) others: Vec<Diagnosis>,
    /// Where to go on.
    pub(crate) token: String,
    /// How often it came back.
    pub(crate) returns: u64,
    /// What must never happen.
    fault: Option<String>,
}

impl Received {
    pub(crate) fn of(&self, node: u16) -> &[u64] {
        self.numbers.get(&node).map_or(&[], Vec::as_slice)
    }

    /// The numbers up to `last` of a node that have not come.
    pub(crate) fn missing(&self, node: u16, last: u64) -> Vec<u64> {
        let received = self.of(node);
        (1..=last).filter(|number| received.binary_search(number).is_err()).collect()
    }

    /// How many records were reported as lost for this reason.
    pub(crate) fn lost(&self, reason: GapReason) -> u64 {
        self.gaps.iter().filter(|gap| gap.reason() == reason).map(Gap::lost_count).sum()
    }

    /// Takes a frame.
    pub(crate) fn take(&mut self, response: WatchDiagnosesResponse) {
        match response.frame {
            Some(Frame::Batch(batch)) => {
                batch.diagnoses.into_iter().for_each(|received_diagnosis| self.take_diagnosis(received_diagnosis))
            }
            Some(Frame::Gap(gap)) => self.gaps.push(gap),
            Some(Frame::Bookmark(_)) => {}
            None => self.fault = Some("a frame without content".to_owned()),
        }
        self.token = response.resume_token;
    }

    fn take_diagnosis(&mut self, received_diagnosis: Diagnosis) {
        let Some((node, number)) = number_of(&received_diagnosis.uid) else {
            return self.others.push(received_diagnosis);
        };
        let received = self.numbers.entry(node).or_default();
        if received_diagnosis != diagnosis(node, number) {
            self.fault = Some(format!("not as it was pushed: {received_diagnosis:?}"));
        } else if received.last().is_none_or(|last| *last < number) {
            received.push(number);
        } else if received.binary_search(&number).is_ok() {
            self.repeated += 1;
        } else {
            self.fault = Some(format!("number {number} of node {node} comes behind {:?}", received.last()));
        }
    }
}

/// Follows the feed until it is dropped.
pub(crate) struct Subscriber {
    received: watch::Receiver<Received>,
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
        Self::resume(client, Received::default())
    }

    /// From where another one was.
    pub(crate) fn resume(client: Client, received: Received) -> Self {
        let (sender, received) = watch::channel(received);
        Self { received, task: tokio::spawn(follow(client, sender)) }
    }

    pub(crate) fn received(&self) -> Received {
        self.received.borrow().clone()
    }

    /// Waits until `question` is true of what was received.
    pub(crate) async fn until(&self, what: &str, question: impl Fn(&Received) -> bool) -> Result<Received> {
        let mut received = self.received.clone();
        let waiting = received.wait_for(|received| received.fault.is_some() || question(received));
        let answer = timeout(PATIENCE, waiting).await.map(|answer| answer.map(|received| Received::clone(&received)));
        match answer {
            Ok(Ok(Received { fault: Some(fault), .. })) => bail!("waiting until {what}: {fault}"),
            Ok(received) => received.context("the subscriber has ended"),
            Err(_) => bail!("{what}: not within {PATIENCE:?}; {}", self.progress()),
        }
    }

    /// Waits until all numbers of a node up to this one have come.
    pub(crate) async fn until_all(&self, node: u16, last: u64) -> Result<Received> {
        let what = format!("everything of node {node} up to {last} has come");
        let received = self.until(&what, |received| received.of(node).last() >= Some(&last)).await?;
        let missing = received.missing(node, last);
        ensure!(missing.is_empty(), "of node {node}, these have not come: {missing:?}; {:?}", received.gaps);
        Ok(received)
    }

    /// Waits until all numbers of the only node up to this one have come except as many as an outbox has reported as
    /// lost.
    pub(crate) async fn until_all_but_lost(&self, node: u16, last: u64) -> Result<Received> {
        let what = format!("everything up to {last} has come or is reported as lost");
        let is_all = |received: &Received| {
            let missing = received.missing(node, last).len() as u64;
            received.of(node).last() >= Some(&last) && received.lost(GapReason::OutboxFull) == missing
        };
        self.until(&what, is_all).await
    }

    fn progress(&self) -> String {
        let received = self.received.borrow();
        let last: Vec<_> =
            received.numbers.iter().map(|(node, numbers)| (node, numbers.len(), numbers.last())).collect();
        format!("received {last:?} (node, count, last), {} again, {:?}", received.repeated, received.gaps)
    }
}

/// Ends only with its receiver.
async fn follow(mut client: Client, received: watch::Sender<Received>) {
    loop {
        let token = received.borrow().token.clone();
        // However it ends: what was received counts.
        let _sent_away: Result<(), Status> = listen(&mut client, start_at(token), &received).await;
        received.send_modify(|received| received.returns += 1);
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
    received: &watch::Sender<Received>,
) -> Result<(), Status> {
    let mut frames = client.watch_diagnoses(request).await?.into_inner();
    while let Some(response) = frames.message().await? {
        received.send_modify(|received| received.take(response));
    }
    Ok(())
}
