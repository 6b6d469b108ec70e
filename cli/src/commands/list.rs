//! `coroner list`: what was diagnosed, the newest first.

use coroner_proto::v1::{DiagnosisFilter, ListDiagnosesRequest};
use jiff::Timestamp;

use super::pages::{Pages, wire_time};
use crate::{
    args::{AggregatorArgs, Format, ListArgs},
    client, data,
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
    let time = |moment: crate::args::Moment| wire_time(moment.resolve(now, &out.reader.zone));
    let request = ListDiagnosesRequest {
        filter: Some(DiagnosisFilter::from(filter)),
        start_time: since.map(time),
        end_time: until.map(time),
        ..ListDiagnosesRequest::default()
    };
    let limit = if *limit == 0 { usize::MAX } else { *limit };
    let is_table = matches!(out.format, None | Some(Format::Table | Format::Wide));
    let found = if is_table && !each {
        list_episodes(request, limit, aggregator, out, now).await?
    } else {
        list_each(request, limit, aggregator, out, now).await?
    };
    if !found {
        out.note(&command::none_found());
        return Ok(Outcome::Nothing);
    }
    Ok(Outcome::Answered)
}

/// Shows every diagnosis; false if there is none.
async fn list_each(
    request: ListDiagnosesRequest,
    limit: usize,
    aggregator: &AggregatorArgs,
    out: &mut Out,
    now: Timestamp,
) -> Result<bool, Failure> {
    let mut client = client::connect(aggregator).await?;
    let mut rows = Rows::new(Kind::Each, out);
    let (mut pages, mut found, mut in_rows) = (Pages::new(request, limit), false, false);
    while let Some(page) = pages.next(&mut client, aggregator).await? {
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
    aggregator: &AggregatorArgs,
    out: &mut Out,
    now: Timestamp,
) -> Result<bool, Failure> {
    let mut client = client::connect(aggregator).await?;
    let mut pages = Pages::new(request, if limit == usize::MAX { usize::MAX } else { MOST_READ });
    let (mut episodes, mut read, mut oldest, mut more) = (Episodes::default(), 0_usize, None, false);
    while let Some(page) = pages.next(&mut client, aggregator).await? {
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
