//! `coroner list`: what was diagnosed, the newest first.

use coroner_proto::v1::{DiagnosisFilter, GetStatusRequest, ListDiagnosesRequest};
use jiff::Timestamp;

use super::{
    pages::{Pages, wire_time},
    why::unknown,
};
use crate::{
    args::{AggregatorArgs, Format, ListArgs, Moment},
    client::{self, Client},
    data,
    episodes::{Episode, Episodes},
    exit::{Failure, Outcome},
    labels,
    messages::{command, notes},
    out::Out,
    rows::{Kind, Rows},
};

/// Diagnoses that are read for a table of episodes, however few these are.
const MOST_READ: usize = 20_000;

pub(crate) async fn run(args: &ListArgs, aggregator: &AggregatorArgs, out: &mut Out) -> Result<Outcome, Failure> {
    let now = Timestamp::now();
    let ListArgs { filter, since, until, each, limit } = args;
    let time = |moment: Moment| moment.resolve(now, &out.reader.zone);
    let (since, until) = (since.map(time), until.map(time));
    if let (Some(since), Some(until)) = (since, until)
        && since >= until
    {
        let [since, until] = [since, until].map(|time| out.reader.moment(time));
        return Err(Failure::usage(command::error_period(since, until)));
    }
    let request = ListDiagnosesRequest {
        filter: Some(DiagnosisFilter::from(filter)),
        start_time: since.map(wire_time),
        end_time: until.map(wire_time),
        ..ListDiagnosesRequest::default()
    };
    let limit = if *limit == 0 { usize::MAX } else { *limit };
    let is_table = matches!(out.format, None | Some(Format::Table | Format::Wide));
    let mut client = client::connect(aggregator).await?;
    let found = if is_table && !each {
        list_episodes(request, limit, &mut client, aggregator, out, now).await?
    } else {
        list_each(request, limit, &mut client, aggregator, out, now).await?
    };
    if !found {
        let status = client.get_status(client::request(GetStatusRequest {})).await;
        let status = status.map_err(|status| client::refused(aggregator, &status))?.into_inner();
        let extent = unknown::extent(&status, &out.reader, now);
        out.notes(&[vec![command::none_found()], extent].concat());
        return Ok(Outcome::Nothing);
    }
    Ok(Outcome::Answered)
}

/// Shows every diagnosis; false if there is none.
async fn list_each(
    request: ListDiagnosesRequest,
    limit: usize,
    client: &mut Client,
    aggregator: &AggregatorArgs,
    out: &mut Out,
    now: Timestamp,
) -> Result<bool, Failure> {
    let mut rows = Rows::new(Kind::Each, out);
    let (mut pages, mut found, mut in_rows) = (Pages::new(request, limit), false, false);
    while let Some(page) = pages.next(client, aggregator).await? {
        for diagnosis in &page {
            found = true;
            match data::diagnosis(out.format, diagnosis)? {
                Some(text) => out.write(&text)?,
                None => {
                    in_rows = true;
                    rows.push(diagnosis, out, now);
                }
            }
        }
    }
    if in_rows {
        let text = rows.render(out);
        out.write(&text)?;
    }
    if pages.cut {
        out.note(&command::only_newest(limit));
    }
    pages.note_unreadable(out);
    Ok(found)
}

/// Shows one row for each episode; false if there is none. A row that is shown counts all that was read of its episode.
async fn list_episodes(
    request: ListDiagnosesRequest,
    limit: usize,
    client: &mut Client,
    aggregator: &AggregatorArgs,
    out: &mut Out,
    now: Timestamp,
) -> Result<bool, Failure> {
    let mut pages = Pages::new(request, if limit == usize::MAX { usize::MAX } else { MOST_READ });
    let (mut episodes, mut read, mut oldest, mut more) = (Episodes::default(), 0_usize, None, false);
    while let Some(page) = pages.next(client, aggregator).await? {
        read += page.len();
        oldest = page.last().and_then(|diagnosis| labels::time(diagnosis.event_time.as_ref())).or(oldest);
        for diagnosis in page {
            if episodes.len() < limit || episodes.holds(&diagnosis) {
                episodes.add(diagnosis);
            } else {
                more = true;
            }
        }
    }
    pages.note_unreadable(out);
    let episodes: Vec<Episode> = episodes.into_vec();
    if episodes.is_empty() {
        return Ok(false);
    }
    let mut rows = Rows::new(Kind::Episodes, out);
    episodes.iter().for_each(|episode| rows.push_episode(episode, out, now));
    let text = rows.render(out);
    out.write(&text)?;
    if more {
        out.note(&command::only_newest(limit));
    } else if pages.cut {
        let oldest = oldest.map_or_else(|| "?".to_owned(), |oldest| out.reader.moment(oldest));
        out.note(&notes::scan_ended(read, oldest));
    }
    Ok(true)
}
