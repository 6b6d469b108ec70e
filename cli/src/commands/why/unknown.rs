//! What `coroner why` answers about something of which nothing is recorded: how far back the records go, whether some
//! wait to be stored, and what has a similar name.

use std::collections::BTreeSet;

use coroner_diagnosis::messages::Message;
use coroner_proto::v1::{Diagnosis, GetStatusRequest, GetStatusResponse, ListDiagnosesRequest, SubjectKind};
use jiff::Timestamp;

use super::target::{Kind, Target};
use crate::{
    args::{AggregatorArgs, WhyArgs},
    client::{self, Client},
    commands::pages::Pages,
    exit::Failure,
    labels,
    messages::{command, notes},
    out::Out,
    reader::Reader,
};

/// The newest diagnoses, whose names are compared.
const MOST_READ: usize = 5000;
/// Similar names that are shown.
const MOST_SIMILAR: usize = 5;

/// Writes what is known instead.
///
/// # Errors
/// The aggregator did not answer.
pub(super) async fn explain(
    args: &WhyArgs,
    target: &Target,
    client: &mut Client,
    aggregator: &AggregatorArgs,
    out: &Out,
) -> Result<(), Failure> {
    let mut lines = vec![match (&args.container, target.kind) {
        (_, Kind::Node) => notes::none_of_node(&target.name),
        (Some(container), _) => command::none_of_container(container, args.whole_subject()),
        (None, _) => command::none_of(args.whole_subject()),
    }];
    let status = client.get_status(client::request(GetStatusRequest {})).await;
    let status = status.map_err(|status| client::refused(aggregator, &status))?.into_inner();
    lines.extend(extent(&status, &out.reader, Timestamp::now()));
    out.notes(&lines);
    if target.kind == Kind::Node {
        out.note(&notes::node_has_pods(&target.name));
        return Ok(());
    }
    if args.container.is_some() {
        let containers = containers(&super::find(target, None, client, aggregator, out).await?);
        if !containers.is_empty() {
            out.note(&notes::other_containers(containers));
            return Ok(());
        }
    }
    let read_mask = prost_types::FieldMask { paths: vec!["subject".to_owned(), "workloads".to_owned()] };
    let request = ListDiagnosesRequest { read_mask: Some(read_mask), ..ListDiagnosesRequest::default() };
    let mut pages = Pages::new(request, MOST_READ);
    let mut names = BTreeSet::new();
    while let Some(page) = pages.next(client, aggregator).await? {
        names.extend(page.iter().flat_map(names_of));
    }
    let similar = similar(target, names);
    if !similar.is_empty() {
        out.note(&notes::similar(similar));
    }
    Ok(())
}

/// The containers that these diagnoses are about.
fn containers(diagnoses: &[Diagnosis]) -> Vec<String> {
    let subjects = diagnoses.iter().filter_map(|diagnosis| diagnosis.subject.as_ref());
    let names: BTreeSet<&str> = subjects.map(|subject| subject.container.as_str()).collect();
    names.into_iter().filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// How far back the records go, and how many cannot be found yet.
pub(crate) fn extent(status: &GetStatusResponse, reader: &Reader, now: Timestamp) -> Vec<Message> {
    let mut lines = vec![match labels::time(status.oldest_time.as_ref()) {
        Some(oldest) => notes::ledger_reaches(reader.moment(oldest), labels::elapsed(oldest, now)),
        None => notes::ledger_is_empty(),
    }];
    if status.waiting_count > 0 {
        lines.push(notes::ledger_waits(status.waiting_count));
    }
    lines
}

/// A name that `why` accepts: its namespace, how it is written, and the bare name.
type Name = (String, String, String);

fn names_of(diagnosis: &Diagnosis) -> Vec<Name> {
    let subject = diagnosis.subject.clone().unwrap_or_default();
    let namespace = subject.namespace.clone();
    let workloads = diagnosis.workloads.iter().map(|workload| {
        let written = format!("{namespace}/{}/{}", workload.kind.to_lowercase(), workload.name);
        (namespace.clone(), written, workload.name.clone())
    });
    // What a workload's own subject is called has no kind that `why` knows.
    let own = (subject.kind() != SubjectKind::Workload)
        .then(|| (namespace.clone(), labels::subject_name(&subject), subject.name.clone()));
    own.into_iter().chain(workloads).collect()
}

/// The names that are most like the target's, the most similar first.
fn similar(target: &Target, names: BTreeSet<Name>) -> Vec<String> {
    let mut ranked: Vec<(usize, String)> = names
        .into_iter()
        .filter_map(|(namespace, written, name)| {
            let elsewhere = usize::from(target.namespace.as_ref().is_some_and(|wanted| *wanted != namespace));
            Some((2 * unlike(&target.name, &name)? + elsewhere, written))
        })
        .collect();
    ranked.sort();
    ranked.into_iter().take(MOST_SIMILAR).map(|(_, written)| written).collect()
}

/// How much two names differ, `None` if they are not similar: one begins with the other, as a pod's with that of its
/// workload, or few characters differ.
fn unlike(wanted: &str, name: &str) -> Option<usize> {
    let distance = distance(wanted, name);
    let is_short = wanted.chars().count() < 3;
    let begins = name.starts_with(wanted) || (wanted.starts_with(name) && name.len() >= 3);
    if distance == 0 {
        Some(0)
    } else if begins {
        Some(1)
    } else {
        (!is_short && distance <= 1 + wanted.chars().count() / 4).then_some(distance)
    }
}

/// Insertions, deletions and replacements of characters between two names (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (line, from) in a.chars().enumerate() {
        let mut diagonal = line;
        let mut left = line + 1;
        for (above, to) in row.iter_mut().skip(1).zip(&b) {
            let best = (diagonal + usize::from(from != *to)).min(*above + 1).min(left + 1);
            diagonal = std::mem::replace(above, best);
            left = best;
        }
        row[0] = line + 1;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use coroner_proto::v1::Subject;

    use super::*;

    #[test]
    fn distances_count_what_must_be_changed() {
        for (a, b, wanted) in [("", "", 0), ("", "web", 3), ("web", "", 3), ("web", "wep", 1), ("kitten", "sitting", 3)]
        {
            assert_eq!(distance(a, b), wanted, "{a} {b}");
        }
    }

    #[test]
    fn similar_names_are_found_in_any_namespace_the_most_similar_first() {
        let target = Target { kind: Kind::Any, namespace: Some("shop".to_owned()), name: "web".to_owned() };
        let name = |namespace: &str, name: &str| (namespace.to_owned(), format!("{namespace}/{name}"), name.to_owned());
        let names = [name("shop", "wep"), name("shop", "web-1"), name("test", "web"), name("shop", "database")];
        assert_eq!(similar(&target, names.into_iter().collect()), ["test/web", "shop/web-1", "shop/wep"]);
    }

    #[test]
    fn the_other_containers_are_named_once_each() {
        let of = |container: &str| Diagnosis {
            subject: Some(Subject { container: container.to_owned(), ..Subject::default() }),
            ..Diagnosis::default()
        };
        assert_eq!(containers(&[of("web"), of(""), of("app"), of("web")]), ["app", "web"]);
    }

    #[test]
    fn records_that_wait_are_no_secret() {
        let status = GetStatusResponse { waiting_count: 3, ..GetStatusResponse::default() };
        let lines = extent(&status, &crate::testing::reader(), crate::testing::now());
        let lines: Vec<_> = lines.iter().map(|line| crate::testing::out(120).text(line)).collect();
        assert!(
            lines[0].contains("Nothing is recorded") && lines[1].starts_with("3 records wait to be stored"),
            "{lines:?}"
        );
    }
}
