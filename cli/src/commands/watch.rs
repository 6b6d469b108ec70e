//! `coroner watch`: diagnoses as they arrive.

use std::time::Duration;

use coroner_diagnosis::{localized, messages::Message};
use coroner_proto::v1::{
    DiagnosisFilter, Gap, SubjectKind, WatchDiagnosesRequest, WatchDiagnosesResponse, watch_diagnoses_request::Start,
    watch_diagnoses_response::Frame,
};
use jiff::Timestamp;
use tonic::{Code, Status};

use super::pages::wire_time;
use crate::{
    args::{AggregatorArgs, FilterArgs, Format, WatchArgs},
    client::{self, Client},
    data,
    exit::{Failure, Outcome},
    labels,
    messages::{command, notes},
    out::Out,
    reader::Reader,
    rows::{Kind, Rows},
};

/// The aggregator sends something at least every 15 s; after this much silence the stream counts as broken.
const IDLE: Duration = Duration::from_secs(60);
/// Before the first and before any later attempt to resume.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

pub(crate) async fn run(args: &WatchArgs, aggregator: &AggregatorArgs, out: &mut Out) -> Result<Outcome, Failure> {
    let mut watch = Watch::new(args, out);
    let mut client = client::connect(aggregator).await?;
    let mut pause = FIRST_PAUSE;
    loop {
        let before = watch.resume_token.clone();
        let why = match watch.follow(&mut client, aggregator, out).await? {
            End::Reached if watch.lost => return Ok(Outcome::Partial),
            End::Reached => return Ok(Outcome::Answered),
            End::Broken(why) => why,
        };
        if watch.resume_token != before {
            pause = FIRST_PAUSE;
        }
        out.note(&notes::stream_broke(why, pause.as_secs_f32().to_string()));
        tokio::time::sleep(pause).await;
        pause = LONGEST_PAUSE.min(pause * 2);
        // By the certificates of now. While no aggregator is there, the old connection finds out when there is.
        if let Ok(restart) = client::connect(aggregator).await {
            client = restart;
        }
    }
}

/// The filter, for nodes and the cluster as a whole if `nodes` asks for that.
fn of_kinds(filter: &FilterArgs, nodes: bool) -> DiagnosisFilter {
    let kinds = [SubjectKind::Node, SubjectKind::Cluster].map(i32::from);
    let subject_kinds = if nodes { kinds.into() } else { Vec::new() };
    DiagnosisFilter { subject_kinds, ..DiagnosisFilter::from(filter) }
}

/// How a stream ended.
enum End {
    /// The records' present end was asked for and reached.
    Reached,
    /// It can be resumed.
    Broken(Message),
}

/// What was asked for, and how far it has been shown.
struct Watch {
    filter: DiagnosisFilter,
    start: Start,
    stop_at_end: bool,
    resume_token: String,
    rows: Rows,
    headers: bool,
    lost: bool,
}

impl Watch {
    fn new(args: &WatchArgs, out: &Out) -> Self {
        let WatchArgs { filter, nodes, since, from_oldest, stop_at_end } = args;
        let start = match since {
            Some(since) => Start::StartTime(wire_time(since.resolve(Timestamp::now(), &out.reader.zone))),
            None if *from_oldest || *stop_at_end => Start::FromOldest(true),
            None => Start::FromNow(true),
        };
        Self {
            filter: of_kinds(filter, *nodes),
            start,
            stop_at_end: *stop_at_end,
            resume_token: String::new(),
            rows: Rows::new(Kind::Growing, out),
            headers: out.headers,
            lost: false,
        }
    }

    fn request(&self) -> WatchDiagnosesRequest {
        let start = match self.resume_token.as_str() {
            "" => self.start.clone(),
            token => Start::ResumeToken(token.to_owned()),
        };
        WatchDiagnosesRequest {
            start: Some(start),
            include: vec![self.filter.clone()],
            stop_at_end: self.stop_at_end,
            ..WatchDiagnosesRequest::default()
        }
    }

    /// Shows one stream until it ends.
    async fn follow(
        &mut self,
        client: &mut Client,
        aggregator: &AggregatorArgs,
        out: &mut Out,
    ) -> Result<End, Failure> {
        let opened_at = Timestamp::now();
        let opened = tokio::time::timeout(client::ANSWER_DEADLINE, client.watch_diagnoses(self.request())).await;
        let mut stream = match opened {
            Ok(Ok(stream)) => stream.into_inner(),
            Ok(Err(status)) => return broken(aggregator, &status),
            Err(_) => return Ok(End::Broken(notes::reason_timeout())),
        };
        if self.start == Start::FromNow(true) {
            // Should this stream break before it has given a token, what arrives until the next one must not be missed.
            self.start = Start::StartTime(wire_time(opened_at));
        }
        loop {
            match tokio::time::timeout(IDLE, stream.message()).await {
                Ok(Ok(Some(response))) => self.show(response, out)?,
                Ok(Ok(None)) if self.stop_at_end => return Ok(End::Reached),
                Ok(Ok(None)) => return Ok(End::Broken(notes::stream_closed())),
                Ok(Err(status)) => return broken(aggregator, &status),
                Err(_) => return Ok(End::Broken(notes::stream_idle(IDLE.as_secs()))),
            }
        }
    }

    fn show(&mut self, response: WatchDiagnosesResponse, out: &mut Out) -> Result<(), Failure> {
        match response.frame {
            Some(Frame::Batch(batch)) => {
                let now = Timestamp::now();
                for diagnosis in &batch.diagnoses {
                    match data::diagnosis(out.format, diagnosis)? {
                        Some(text) => out.write(&text)?,
                        None => self.rows.push(diagnosis, out, now),
                    }
                }
                if matches!(out.format, None | Some(Format::Table | Format::Wide)) {
                    let text = self.rows.take(out, std::mem::take(&mut self.headers));
                    out.write(&text)?;
                }
            }
            Some(Frame::Gap(gap)) => {
                self.lost = true;
                out.note(&lost(&gap, &out.reader));
            }
            Some(Frame::Bookmark(_)) | None => {}
        }
        // Only what was shown need not come again.
        if !response.resume_token.is_empty() {
            self.resume_token = response.resume_token;
        }
        Ok(())
    }
}

/// Whether a stream with this status can be resumed.
fn broken(aggregator: &AggregatorArgs, status: &Status) -> Result<End, Failure> {
    match status.code() {
        Code::InvalidArgument
        | Code::Unauthenticated
        | Code::PermissionDenied
        | Code::Unimplemented
        | Code::OutOfRange => Err(client::refused(aggregator, status)),
        _ => Ok(End::Broken(client::interruption(status))),
    }
}

/// What a gap means to the reader.
fn lost(gap: &Gap, reader: &Reader) -> Message {
    let node = if gap.node.is_empty() { command::on_aggregator() } else { command::on_node(&gap.node) };
    let at = |time: Option<&prost_types::Timestamp>| {
        labels::time(time).map_or_else(|| "?".to_owned(), |time| reader.moment(time))
    };
    let (from, to) = (at(gap.start_time.as_ref()), at(gap.end_time.as_ref()));
    let why = localized::gap(gap, reader.language);
    match gap.lost_count {
        Some(count) => command::lost(count, &gap.source, node, from, to, why),
        None => command::lost_unknown(&gap.source, node, from, to, why),
    }
}
