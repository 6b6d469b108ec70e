//! An aggregator of its own for each test, and helpers to use it.

use std::time::Duration;

use clap::Parser;
use coroner_aggregator::{app::App, config::Config, feed::Timing};
use coroner_proto::v1::{
    Cause, Confidence, Diagnosis, Gap, GapReason, GetStatusRequest, GetStatusResponse, OutboxRecord,
    PushDiagnosesRequest, PushDiagnosesResponse, Severity, Subject, SubjectKind, WatchDiagnosesRequest,
    WatchDiagnosesResponse, diagnosis_service_client::DiagnosisServiceClient,
    ingest_service_client::IngestServiceClient, outbox_record::Record, watch_diagnoses_request::Start,
    watch_diagnoses_response::Frame,
};
use prost_types::Timestamp;
use tempfile::TempDir;
use tonic::{
    Status, Streaming,
    transport::{Channel, Endpoint},
};
use uuid::Uuid;

pub(crate) type Ingest = IngestServiceClient<Channel>;
pub(crate) type Feed = DiagnosisServiceClient<Channel>;

/// A running aggregator; its directory goes with it.
pub(crate) struct Aggregator {
    pub(crate) app: App,
    pub(crate) directory: TempDir,
}

impl Aggregator {
    pub(crate) async fn start() -> Self {
        Self::start_with(&[], Timing::default()).await
    }

    pub(crate) async fn start_with(flags: &[&str], timing: Timing) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), flags, timing).await
    }

    pub(crate) async fn start_in(directory: TempDir, flags: &[&str], timing: Timing) -> Self {
        let ledger = directory.path().join("ledger.db");
        let arguments = ["coroner-aggregator", "--listen", "127.0.0.1:0", "--ledger", ledger.to_str().unwrap()];
        let config = Config::parse_from(arguments.iter().chain(flags));
        let app = App::start(config, timing).await.unwrap();
        Self { app, directory }
    }

    /// Stops it and starts it again over the same ledger.
    pub(crate) async fn restart(self) -> Self {
        self.app.stop().await.unwrap();
        Self::start_in(self.directory, &[], Timing::default()).await
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.app.endpoints()[0])
    }

    pub(crate) async fn ingest(&self) -> Ingest {
        Ingest::new(channel(&self.url()).await)
    }

    pub(crate) async fn feed(&self) -> Feed {
        feed(&self.url()).await
    }
}

pub(crate) async fn channel(url: &str) -> Channel {
    Endpoint::new(url.to_owned()).unwrap().connect().await.unwrap()
}

pub(crate) async fn feed(url: &str) -> Feed {
    Feed::new(channel(url).await).max_decoding_message_size(64 << 20)
}

/// The nth diagnosis; its event time rises with n.
pub(crate) fn diagnosis(n: u64) -> Diagnosis {
    Diagnosis {
        uid: uid(n),
        revision: 1,
        subject: Some(Subject {
            kind: SubjectKind::Container.into(),
            namespace: "shop".into(),
            name: format!("web-{n}"),
            node: "n1".into(),
            container: "app".into(),
            ..Default::default()
        }),
        cause: Cause::OomContainerLimit.into(),
        fatal: true,
        confidence: Confidence::Certain.into(),
        severity: Severity::Error.into(),
        event_time: Some(Timestamp { seconds: 1_700_000_000 + i64::try_from(n).unwrap(), nanos: 0 }),
        summary: format!("number {n}"),
        ..Default::default()
    }
}

pub(crate) fn uid(n: u64) -> String {
    Uuid::from_u128(u128::from(n)).to_string()
}

pub(crate) fn subject(diagnosis: &mut Diagnosis) -> &mut Subject {
    diagnosis.subject.as_mut().unwrap()
}

/// A gap with the number of lost items.
pub(crate) fn gap(lost: u64) -> Gap {
    Gap {
        node: "n1".into(),
        source: "kernel_log".into(),
        reason: GapReason::Overrun.into(),
        lost_count: Some(lost),
        ..Default::default()
    }
}

/// A push of the outbox "o" of node "n1" whose records are numbered from `first` on.
pub(crate) fn push(first: u64, records: impl IntoIterator<Item = Record>) -> PushDiagnosesRequest {
    let records = (first..).zip(records);
    PushDiagnosesRequest {
        node: "n1".into(),
        stream_id: "o".into(),
        records: records.map(|(sequence, record)| OutboxRecord { sequence, record: Some(record) }).collect(),
        ..Default::default()
    }
}

/// Pushes the diagnoses with these numbers, under the same sequences.
pub(crate) async fn push_numbers(ingest: &mut Ingest, numbers: std::ops::RangeInclusive<u64>) -> PushDiagnosesResponse {
    let records = numbers.clone().map(|n| Record::Diagnosis(diagnosis(n)));
    ingest.push_diagnoses(push(*numbers.start(), records)).await.unwrap().into_inner()
}

/// What a reader has, in order: summaries of diagnoses, and gaps as `gap SOURCE COUNT`.
pub(crate) fn items<'a>(frames: impl IntoIterator<Item = &'a WatchDiagnosesResponse>) -> Vec<String> {
    let items = frames.into_iter().flat_map(|response| match response.frame.as_ref().unwrap() {
        Frame::Batch(batch) => batch.diagnoses.iter().map(|d| d.summary.clone()).collect(),
        Frame::Gap(gap) => vec![format!("gap {} {}", gap.source, gap.lost_count())],
        Frame::Bookmark(_) => vec![],
    });
    items.collect()
}

pub(crate) fn from_oldest() -> WatchDiagnosesRequest {
    WatchDiagnosesRequest { start: Some(Start::FromOldest(true)), stop_at_end: true, ..Default::default() }
}

pub(crate) fn resume(token: &str) -> WatchDiagnosesRequest {
    WatchDiagnosesRequest { start: Some(Start::ResumeToken(token.into())), stop_at_end: true, ..Default::default() }
}

/// All frames of a stream that ends.
pub(crate) async fn replay(feed: &mut Feed, request: WatchDiagnosesRequest) -> Vec<WatchDiagnosesResponse> {
    assert!(request.stop_at_end, "it would never end");
    let (frames, end) = drain(feed.watch_diagnoses(request).await.unwrap().into_inner()).await;
    assert!(end.is_none(), "{end:?}");
    frames
}

/// All frames of a stream, and the error it ended with.
pub(crate) async fn drain(
    mut stream: Streaming<WatchDiagnosesResponse>,
) -> (Vec<WatchDiagnosesResponse>, Option<Status>) {
    let mut frames = Vec::new();
    loop {
        match stream.message().await {
            Ok(Some(frame)) => frames.push(frame),
            Ok(None) => return (frames, None),
            Err(status) => return (frames, Some(status)),
        }
    }
}

/// The next frame that is no bookmark.
pub(crate) async fn next_news(stream: &mut Streaming<WatchDiagnosesResponse>) -> WatchDiagnosesResponse {
    loop {
        let frame = stream.message().await.unwrap().unwrap();
        if !matches!(frame.frame, Some(Frame::Bookmark(_))) {
            return frame;
        }
    }
}

/// Waits until the status is as wanted.
pub(crate) async fn status_where(feed: &mut Feed, wanted: impl Fn(&GetStatusResponse) -> bool) -> GetStatusResponse {
    loop {
        let status = feed.get_status(GetStatusRequest {}).await.unwrap().into_inner();
        if wanted(&status) {
            return status;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
