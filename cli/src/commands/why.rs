//! `coroner why`: what happened to one pod, workload, node, Service or Ingress.

mod target;
pub(super) mod unknown;

use std::collections::BTreeSet;

use coroner_diagnosis::messages::Message;
use coroner_proto::v1::{Diagnosis, GetStatusRequest, ListDiagnosesRequest};
use jiff::Timestamp;

use self::target::{Kind, Target};
use super::{answered_by, get, pages::Pages, present::present};
use crate::{
    args::{AggregatorArgs, WhyArgs},
    client::{self, Client},
    episodes::{Episode, Episodes},
    exit::{Failure, Outcome},
    explain, labels,
    messages::{command, notes, page as texts, text},
    out::Out,
    page::{Look, Page, span},
};

/// Diagnoses that are read, the newest of each question.
const MOST: usize = 1000;
/// Other episodes that a page shows in short.
const MOST_OTHERS: usize = 20;

pub(crate) async fn run(args: &WhyArgs, aggregator: &AggregatorArgs, out: &mut Out) -> Result<Outcome, Failure> {
    let target = Target::of(args)?;
    let mut client = client::connect(aggregator).await?;
    let ordered = in_order(all_of(args, &mut client, aggregator, out).await?);
    let Some(first) = ordered.first() else {
        unknown::explain(args, &target, &mut client, aggregator, out).await?;
        return Ok(Outcome::Nothing);
    };
    let outcome = answered_by(first);
    present(&ordered, out, in_short_but_the_first)?;
    // What is found may not be the newest: it costs one short question to know.
    if let Ok(status) = client.get_status(client::request(GetStatusRequest {})).await
        && status.get_ref().waiting_count > 0
    {
        out.note(&notes::ledger_waits(status.get_ref().waiting_count));
    }
    Ok(outcome)
}

/// Everything that is recorded about what is asked, the last revisions.
///
/// # Errors
/// It names nothing, or more than one thing; or the aggregator did not answer.
pub(crate) async fn all_of(
    args: &WhyArgs,
    client: &mut Client,
    aggregator: &AggregatorArgs,
    out: &Out,
) -> Result<Vec<Diagnosis>, Failure> {
    let target = Target::of(args)?;
    let mut diagnoses = find(&target, args.container.as_deref(), client, aggregator, out).await?;
    if diagnoses.is_empty() && target.kind == Kind::Any && get::could_be_uid(&target.name) {
        diagnoses.extend(get::find(&target.name, client, aggregator).await?.and_then(|found| found.diagnosis));
    }
    match ambiguity(&target.name, &diagnoses) {
        Some(ambiguity) => Err(Failure::usage(ambiguity)),
        None => Ok(diagnoses),
    }
}

async fn find(
    target: &Target,
    container: Option<&str>,
    client: &mut Client,
    aggregator: &AggregatorArgs,
    out: &Out,
) -> Result<Vec<Diagnosis>, Failure> {
    let mut diagnoses = Vec::new();
    for filter in target.filters(container) {
        let request = ListDiagnosesRequest { filter: Some(filter), ..ListDiagnosesRequest::default() };
        let mut pages = Pages::new(request, MOST);
        while let Some(page) = pages.next(client, aggregator).await? {
            diagnoses.extend(page);
        }
        pages.note_unreadable(out);
    }
    Ok(diagnoses)
}

/// The error if the name means more than one thing.
fn ambiguity(name: &str, diagnoses: &[Diagnosis]) -> Option<Message> {
    let subjects = diagnoses.iter().filter_map(|diagnosis| diagnosis.subject.as_ref());
    let namespaces: BTreeSet<&str> = subjects.map(|subject| subject.namespace.as_str()).collect();
    let names: Vec<_> =
        namespaces.iter().map(|namespace| if namespace.is_empty() { "(none)" } else { namespace }).collect();
    (names.len() > 1).then(|| command::error_ambiguous(name, names))
}

/// The last death first, else what lasts, else the newest. Then the others, the newest first.
fn in_order(mut diagnoses: Vec<Diagnosis>) -> Vec<Diagnosis> {
    diagnoses.sort_by_key(|diagnosis| std::cmp::Reverse(labels::time(diagnosis.event_time.as_ref())));
    let lasts = |diagnosis: &Diagnosis| !diagnosis.fatal && diagnosis.resolve_time.is_none();
    let first = diagnoses.iter().position(|diagnosis| diagnosis.fatal);
    if let Some(first) = first.or_else(|| diagnoses.iter().position(lasts)) {
        diagnoses.get_mut(..=first).expect("the position is within the list").rotate_right(1);
    }
    diagnoses
}

fn in_short_but_the_first(page: &mut Page, ordered: &[Diagnosis], now: Timestamp) {
    let episodes: Vec<Episode> = ordered.iter().cloned().collect::<Episodes>().into_vec();
    let Some((first, others)) = episodes.split_first() else { return };
    explain::explain(page, &first.newest, first.into(), now);
    if !others.is_empty() {
        page.blank();
        let language = page.language();
        page.paragraph(None, 0, &[span(Look::Strong, &text(&texts::label_others(), language))]);
        for other in others.iter().take(MOST_OTHERS) {
            explain::brief(page, other, now);
        }
        if others.len() > MOST_OTHERS {
            let more = others.len() - MOST_OTHERS;
            let more = text(&texts::others_more(more), language);
            page.paragraph(None, 2, &[span(Look::Faint, &more)]);
        }
    }
}

#[cfg(test)]
mod tests {
    use coroner_proto::v1::Subject;

    use super::*;
    use crate::testing::{self, golden};

    #[test]
    fn a_name_in_two_namespaces_is_ambiguous() {
        let in_namespace = |namespace: &str| Diagnosis {
            subject: Some(Subject { namespace: namespace.to_owned(), ..Subject::default() }),
            ..Diagnosis::default()
        };
        assert_eq!(ambiguity("web", &[in_namespace("a"), in_namespace("a")]), None);
        let message = ambiguity("web", &[in_namespace("b"), in_namespace("a")]).unwrap();
        assert_eq!(testing::out(80).text(&message), "web is in several namespaces: a and b; name one with -n");
    }

    #[test]
    fn the_last_death_comes_first_and_then_the_newest() {
        let at = |seconds, fatal| Diagnosis {
            event_time: Some(prost_types::Timestamp { seconds, nanos: 0 }),
            fatal,
            ..Diagnosis::default()
        };
        let ordered = in_order(vec![at(1, true), at(4, false), at(2, true), at(3, false)]);
        let times: Vec<_> = ordered.iter().map(|diagnosis| diagnosis.event_time.unwrap().seconds).collect();
        assert_eq!(times, [2, 4, 3, 1]);
        assert!(in_order(Vec::new()).is_empty());
    }

    #[test]
    fn other_diagnoses_of_the_pod_follow_in_short() {
        let mut earlier = testing::undetermined();
        earlier.event_time = testing::time("2026-11-18T12:00:00Z");
        let ordered = [testing::undetermined(), testing::oom_child(), earlier];
        let mut page = testing::out(120).page();
        in_short_but_the_first(&mut page, &ordered, testing::now());
        golden("why.txt", &page.into_text());
    }
}
