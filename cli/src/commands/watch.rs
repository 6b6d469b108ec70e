//! `coroner watch`: diagnoses as they arrive.

use std::time::Duration;

use coroner_proto::v1::{
    DiagnosisFilter, Gap, WatchDiagnosesRequest, WatchDiagnosesResponse, watch_diagnoses_request::Start,
    watch_diagnoses_response::Frame,
};
use jiff::Timestamp;
use tonic::{Code, Status};

use super::list::wire_time;
use crate::{
    args::{AggregatorArgs, Format, WatchArgs},
    client::{self, Client},
    data,
    exit::{Failure, Outcome},
    out::Out,
    table::{self, Shape},
    words,
};

/// The aggregator says something at least every 15 s; after this much silence the stream counts as broken.
const SILENCE: Duration = Duration::from_secs(60);
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
        out.tell(&format!("The stream broke ({why}); resuming in {pause:?}."));
        tokio::time::sleep(pause).await;
        pause = LONGEST_PAUSE.min(pause * 2);
        // By the certificates of now. While nobody is there, the old connection finds out when there is.
        if let Ok(anew) = client::connect(aggregator).await {
            client = anew;
        }
    }
}

/// How a stream ended.
enum End {
    /// The records' present end was asked for and reached.
    Reached,
    /// It can be resumed.
    Broken(String),
}

/// What was asked for, and how far it has been shown.
struct Watch {
    filter: DiagnosisFilter,
    start: Start,
    stop_at_end: bool,
    resume_token: String,
    shape: Shape,
    headers: bool,
    lost: bool,
}

impl Watch {
    fn new(args: &WatchArgs, out: &Out) -> Self {
        let WatchArgs { filter, since, from_oldest, stop_at_end } = args;
        let start = match since {
            Some(since) => Start::StartTime(wire_time(since.resolve(Timestamp::now()))),
            None if *from_oldest || *stop_at_end => Start::FromOldest(true),
            None => Start::FromNow(true),
        };
        Self {
            filter: DiagnosisFilter::from(filter),
            start,
            stop_at_end: *stop_at_end,
            resume_token: String::new(),
            shape: Shape { wide: out.format == Some(Format::Wide), growing: true },
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
            Err(_) => return Ok(End::Broken("no answer".to_owned())),
        };
        if self.start == Start::FromNow(true) {
            // Should this stream break before it has given a token, what arrives until the next one must not be missed.
            self.start = Start::StartTime(wire_time(opened_at));
        }
        loop {
            match tokio::time::timeout(SILENCE, stream.message()).await {
                Ok(Ok(Some(response))) => self.show(response, out)?,
                Ok(Ok(None)) if self.stop_at_end => return Ok(End::Reached),
                Ok(Ok(None)) => return Ok(End::Broken("closed by the aggregator".to_owned())),
                Ok(Err(status)) => return broken(aggregator, &status),
                Err(_) => return Ok(End::Broken(format!("silent for {}", SILENCE.as_secs()))),
            }
        }
    }

    fn show(&mut self, response: WatchDiagnosesResponse, out: &mut Out) -> Result<(), Failure> {
        match response.frame {
            Some(Frame::Batch(batch)) => {
                let now = Timestamp::now();
                let mut rows = table::diagnoses(self.shape);
                for diagnosis in &batch.diagnoses {
                    match data::render(out.format, diagnosis)? {
                        Some(text) => out.write(&text)?,
                        None => rows.push(table::row(diagnosis, self.shape, now)),
                    }
                }
                if matches!(out.format, None | Some(Format::Table | Format::Wide)) {
                    let text = rows.render_growing(out, std::mem::take(&mut self.headers));
                    out.write(&text)?;
                }
            }
            Some(Frame::Gap(gap)) => {
                self.lost = true;
                out.tell(&lost(&gap));
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
        code if status.message().is_empty() => Ok(End::Broken(code.description().to_owned())),
        _ => Ok(End::Broken(status.message().to_owned())),
    }
}

/// A gap in words.
fn lost(gap: &Gap) -> String {
    let count = gap.lost_count.map_or_else(|| "An unknown number of".to_owned(), |count| count.to_string());
    let node = if gap.node.is_empty() { "the aggregator" } else { &gap.node };
    let at = |time: Option<&prost_types::Timestamp>| words::time(time).map_or_else(|| "?".to_owned(), words::moment);
    let (from, to) = (at(gap.start_time.as_ref()), at(gap.end_time.as_ref()));
    let reason = gap.reason().as_str_name().trim_start_matches("GAP_REASON_").to_lowercase().replace('_', " ");
    format!("{count} records were lost by {} of {node} from {from} to {to} ({reason}). {}", gap.source, gap.text)
}
