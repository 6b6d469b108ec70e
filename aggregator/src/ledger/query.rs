//! Questions about what is known now: the last revision of each diagnosis, by what people ask for.
//!
//! A list walks one index, chosen by the filter, in the order of listing. Where the filter names several values for that
//! index, each value is walked by itself and the walks are merged, so the cost depends on the size of the answer as long
//! as the other fields of the filter do not reject most of what the index gives.

use coroner_proto::v1;
use prost::Message;
use rusqlite::{Connection, ToSql, types::Value};
use uuid::Uuid;

use super::{Offset, inbox, reader, schema};
use crate::{filter::Filter, time::timestamp};

/// A place in the list: behind the diagnosis with this time and uid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ListPosition {
    /// Nanoseconds since 1970.
    pub event_time: i64,
    /// Orders diagnoses of the same time.
    pub uid: Uuid,
}

/// What to list.
#[derive(Clone, Debug)]
pub struct Query {
    /// Which diagnoses.
    pub filter: Filter,
    /// From this event time on.
    pub start_time: Option<i64>,
    /// Before this event time.
    pub end_time: Option<i64>,
    /// Behind this place.
    pub after: Option<ListPosition>,
    /// At most so many.
    pub limit: usize,
    /// At most so many bytes; a first one is given whatever its size.
    pub bytes: usize,
}

/// One page of a list.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Encoded diagnoses, the newest first.
    pub bodies: Vec<Vec<u8>>,
    /// The place behind the last one; none if there are no more.
    pub next: Option<ListPosition>,
}

/// Namespaces that are walked one by one. More of them are picked from a walk by time.
const MAX_WALKS: usize = 200;

/// Lists the last revisions, the newest first.
///
/// # Errors
/// If SQLite fails.
pub fn list(connection: &Connection, query: &Query) -> Result<Page, rusqlite::Error> {
    let snapshot = connection.unchecked_transaction()?;
    let mut found = Vec::new();
    for walk in walks(&query.filter) {
        found.extend(places(&snapshot, query, &walk)?);
    }
    found.sort_unstable_by(|(a, _), (b, _)| b.cmp(a));
    // A record is on two walks where both its workloads are asked for.
    found.dedup();
    let mut page = Page::default();
    let mut fetch = snapshot.prepare_cached("SELECT body FROM record WHERE offset = ?")?;
    let (mut bytes, mut last) = (0, None);
    for (position, offset) in found {
        let body: Vec<u8> = fetch.query_row((offset,), |row| row.get(0))?;
        if page.bodies.len() == query.limit || (bytes > 0 && bytes + body.len() > query.bytes) {
            page.next = last;
            break;
        }
        bytes += body.len();
        page.bodies.push(body);
        last = Some(position);
    }
    Ok(page)
}

/// The namespaces that last revisions are about, by name, the empty one among them; at most `limit`. Costs one step in the index
/// each, however much there is of them.
///
/// # Errors
/// If SQLite fails.
pub fn namespaces(connection: &Connection, limit: usize) -> Result<Vec<String>, rusqlite::Error> {
    let mut statement = connection.prepare_cached(
        "WITH RECURSIVE seen(name) AS (
             SELECT min(namespace) FROM record INDEXED BY latest_by_namespace WHERE latest = 1
             UNION ALL
             SELECT (SELECT min(namespace) FROM record INDEXED BY latest_by_namespace
                     WHERE latest = 1 AND namespace > seen.name)
             FROM seen WHERE seen.name IS NOT NULL
         )
         SELECT name FROM seen WHERE name IS NOT NULL LIMIT ?",
    )?;
    let rows = statement.query_map((i64::try_from(limit).unwrap_or(i64::MAX),), |row| row.get(0))?;
    rows.collect()
}

/// One index, walked for one value of its first column.
struct Walk {
    index: &'static str,
    column: Option<(&'static str, Value)>,
}

/// The walks that together see every match: along the field of the filter that as a rule has the fewest matches.
fn walks(filter: &Filter) -> Vec<Walk> {
    let texts = |index, column, values: &std::collections::BTreeSet<String>| {
        values.iter().map(|v| Walk { index, column: Some((column, Value::Text(v.clone()))) }).collect()
    };
    if !filter.workloads.is_empty() {
        let nearest: Vec<Walk> = texts("latest_by_workload", "workload", &filter.workloads);
        nearest.into_iter().chain(texts("latest_by_workload_above", "workload_above", &filter.workloads)).collect()
    } else if !filter.names.is_empty() {
        texts("latest_by_name", "name", &filter.names)
    } else if !filter.nodes.is_empty() {
        texts("latest_by_node", "node", &filter.nodes)
    } else if (1..=MAX_WALKS).contains(&filter.namespaces.len()) {
        texts("latest_by_namespace", "namespace", &filter.namespaces)
    } else if !filter.causes.is_empty() {
        let walk = |cause: &i32| Walk { index: "latest_by_cause", column: Some(("cause", i64::from(*cause).into())) };
        filter.causes.iter().map(walk).collect()
    } else {
        vec![Walk { index: "latest_by_time", column: None }]
    }
}

/// The first places of one walk, one more than asked for so that the end of the list is known.
fn places(connection: &Connection, query: &Query, walk: &Walk) -> Result<Vec<(ListPosition, Offset)>, rusqlite::Error> {
    let mut sql = format!("SELECT event_time, uid, offset FROM record INDEXED BY {} WHERE latest = 1", walk.index);
    let mut values: Vec<Value> = Vec::new();
    let mut condition = |text: &str, bound: Vec<Value>| {
        sql.push_str(" AND ");
        sql.push_str(text);
        values.extend(bound);
    };
    let driver = walk.column.as_ref().map(|(column, value)| {
        condition(&format!("{column} = ?"), vec![value.clone()]);
        if column.starts_with("workload") {
            // These indexes hold no empty names, and SQLite takes one only where the query says so too.
            condition(&format!("{column} <> ''"), vec![]);
        }
        *column
    });
    if let Some(time) = query.start_time {
        condition("event_time >= ?", vec![time.into()]);
    }
    if let Some(time) = query.end_time {
        condition("event_time < ?", vec![time.into()]);
    }
    if let Some(after) = query.after {
        condition("(event_time, uid) < (?, ?)", vec![after.event_time.into(), after.uid.into_bytes().to_vec().into()]);
    }
    let Filter {
        namespaces,
        nodes,
        names,
        containers,
        causes,
        kinds,
        min_severity,
        min_confidence,
        fatal_only,
        workloads: _,
    } = &query.filter;
    for (column, texts) in [("namespace", namespaces), ("node", nodes), ("name", names), ("container", containers)] {
        if !texts.is_empty() && driver != Some(column) {
            condition(&one_of(column, texts.len()), texts.iter().map(|t| t.clone().into()).collect());
        }
    }
    for (column, numbers) in [("cause", causes), ("kind", kinds)] {
        if !numbers.is_empty() && driver != Some(column) {
            condition(&one_of(column, numbers.len()), numbers.iter().map(|n| i64::from(*n).into()).collect());
        }
    }
    if *min_severity > 0 {
        condition("severity >= ?", vec![i64::from(*min_severity).into()]);
    }
    if *min_confidence > 0 {
        condition("confidence >= ?", vec![i64::from(*min_confidence).into()]);
    }
    if *fatal_only {
        condition("fatal = 1", vec![]);
    }
    sql.push_str(" ORDER BY event_time DESC, uid DESC LIMIT ?");
    values.push(i64::try_from(query.limit.saturating_add(1)).unwrap_or(i64::MAX).into());
    let mut statement = connection.prepare_cached(&sql)?;
    let values: Vec<&dyn ToSql> = values.iter().map(|value| value as &dyn ToSql).collect();
    let rows = statement.query_map(&*values, |row| {
        let uid = Uuid::from_bytes(row.get(1)?);
        Ok((ListPosition { event_time: row.get(0)?, uid }, row.get(2)?))
    })?;
    rows.collect()
}

fn one_of(column: &str, count: usize) -> String {
    format!("{column} IN ({})", vec!["?"; count].join(", "))
}

/// All kept revisions of one diagnosis, encoded, the newest first; at most `limit` of them and, behind the first, at most
/// `bytes`.
///
/// # Errors
/// If SQLite fails.
pub fn revisions(
    connection: &Connection,
    uid: Uuid,
    limit: usize,
    bytes: usize,
) -> Result<Vec<Vec<u8>>, rusqlite::Error> {
    let mut statement = connection.prepare_cached("SELECT body FROM record WHERE uid = ? ORDER BY revision DESC")?;
    let mut rows = statement.query((uid.into_bytes(),))?;
    let (mut bodies, mut size) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        let body: Vec<u8> = row.get(0)?;
        size += body.len();
        if bodies.len() == limit || (size > bytes && !bodies.is_empty()) {
            break;
        }
        bodies.push(body);
    }
    Ok(bodies)
}

/// How much there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// When the oldest record that is kept was stored.
    pub oldest_time: Option<i64>,
    /// Records that are kept.
    pub record_count: u64,
    /// Records that are stored, but not filed yet.
    pub waiting_count: u64,
}

/// How much there is. Costs nothing: offsets have no holes.
///
/// # Errors
/// If SQLite fails.
pub fn extent(connection: &Connection) -> Result<Extent, rusqlite::Error> {
    let snapshot = connection.unchecked_transaction()?;
    let before = reader::expired(&snapshot)?.offset;
    let last = schema::last_offset(&snapshot)?;
    let oldest_time = reader::store_time(&snapshot, before)?.map(|(_, time)| time);
    let (waiting, _) = inbox::waiting(&snapshot)?;
    let count = |records| u64::try_from(records).unwrap_or(0);
    Ok(Extent { oldest_time, record_count: count(last - before), waiting_count: count(waiting.records) })
}

/// The nodes that were stored, with what is acknowledged to the last outbox of each.
///
/// # Errors
/// If SQLite fails.
pub fn nodes(connection: &Connection) -> Result<Vec<v1::NodeStatus>, rusqlite::Error> {
    let mut statement = connection.prepare(
        "SELECT name, heard_time, status,
             coalesce((SELECT acknowledged FROM stream WHERE node = name ORDER BY heard_time DESC, id DESC LIMIT 1), 0)
         FROM node",
    )?;
    let rows = statement.query_map((), |row| {
        let status: Vec<u8> = row.get(2)?;
        Ok(v1::NodeStatus {
            node: row.get(0)?,
            last_heard_time: Some(timestamp(row.get(1)?)),
            acknowledged_sequence: row.get::<_, i64>(3)?.unsigned_abs(),
            sources: v1::NodeStatus::decode(&*status).unwrap_or_default().sources,
        })
    })?;
    rows.collect()
}
