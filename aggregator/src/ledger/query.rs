//! Questions about what is known now: the last revision of each diagnosis, by what people ask for.
//!
//! A list walks one index, chosen by the filter, in the order of listing. Where the filter names several values for
//! that index, each value is walked by itself and the walks are merged. Where the other fields of the filter reject
//! much of what the index gives, a list ends after a bounded number of rows, and states how far it has looked: its cost
//! depends on the size of the answer, never on what is stored.

use std::collections::BTreeSet;

use coroner_proto::v1::{self, Severity};
use prost::Message;
use rusqlite::{Connection, OptionalExtension as _, Row, ffi, params_from_iter, types::Value};
use uuid::Uuid;

use super::{
    Offset, holders, inbox, reader,
    row::{self, COLUMNS},
};
use crate::{filter::Filter, time::timestamp};

/// A place in the list: behind the diagnosis with this time and uid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ListPosition {
    /// When the event of that diagnosis happened, in nanoseconds since 1970.
    pub event_time: i64,
    /// The uid, by which diagnoses of the same time are ordered.
    pub uid: Uuid,
}

/// Which diagnoses are to be listed, and how many.
#[derive(Clone, Debug)]
pub struct Query {
    /// The filter that a diagnosis has to match.
    pub filter: Filter,
    /// Namespaces whose diagnoses are left out.
    pub except: BTreeSet<String>,
    /// The earliest event time, in nanoseconds since 1970; included.
    pub start_time: Option<i64>,
    /// The latest event time, in nanoseconds since 1970; not included.
    pub end_time: Option<i64>,
    /// Only diagnoses that are listed after this position.
    pub after: Option<ListPosition>,
    /// The most diagnoses of a page.
    pub limit: usize,
    /// At most so many bytes; a first one is given whatever its size.
    pub bytes: usize,
    /// Rows of an index that are examined at most, where the filter may reject some of them.
    pub scan: usize,
}

impl Query {
    /// The rows that one look may examine at most.
    pub const SCAN: usize = 20_000;
}

/// Diagnoses that one answer contains, and where the next begins.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Encoded diagnoses, the newest first.
    pub bodies: Vec<Vec<u8>>,
    /// The place up to which was looked; none if there are no more.
    pub next: Option<ListPosition>,
    /// Diagnoses that would have been on the page and cannot be read back.
    pub unreadable: usize,
}

/// Namespaces that are walked one by one. More of them are picked from a walk by time.
const MAX_WALKS: usize = 200;
/// Rows of each walk that are examined at least, however many walks there are.
const MIN_SCAN: usize = 1_000;
/// The lowest severity that has an index: of most diagnoses below it, nothing is to be done.
const MIN_INDEXED_SEVERITY: i32 = Severity::Warning as i32;

/// Lists the last revisions, the newest first.
///
/// # Errors
/// If SQLite fails.
pub fn list(connection: &Connection, query: &Query) -> Result<Page, rusqlite::Error> {
    let snapshot = connection.unchecked_transaction()?;
    let Found { places, looked_to } = find(&snapshot, query)?;
    let mut page = fetch(&snapshot, places, query.limit, query.bytes)?;
    page.next = page.next.or(looked_to);
    Ok(page)
}

/// The matches that were found, and how far was looked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The newest first; at most one more than the limit.
    pub places: Vec<Place>,
    /// The place up to which was looked, if there may be matches behind it. None where `places` are more than the
    /// limit.
    pub looked_to: Option<ListPosition>,
}

/// Where a diagnosis is, and what it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its position in the list.
    pub position: ListPosition,
    /// The offset of its record.
    pub offset: Offset,
    /// The namespace that it is about; empty for none.
    pub namespace: String,
}

/// Finds where the last revisions are.
///
/// # Errors
/// If SQLite fails.
pub fn find(connection: &Connection, query: &Query) -> Result<Found, rusqlite::Error> {
    let walks = walks(&query.filter);
    let scan = (query.scan / walks.len().max(1)).max(MIN_SCAN.min(query.scan));
    // All walks are followed to the same place, the one that the densest of them allows.
    let mut looked_to = None;
    for walk in &walks {
        let scope = Scope::new(query, walk);
        if scope.rejects() {
            looked_to = looked_to.max(scope.nth(connection, scan)?);
        }
    }
    let mut places = Vec::new();
    for walk in &walks {
        places.extend(Scope::new(query, walk).places(connection, query.limit, looked_to)?);
    }
    places.sort_unstable_by_key(|place| std::cmp::Reverse(place.position));
    // A record is on two walks where both its workloads are asked for.
    places.dedup();
    places.truncate(query.limit.saturating_add(1));
    looked_to = looked_to.filter(|_| places.len() <= query.limit);
    Ok(Found { places, looked_to })
}

/// The diagnoses at these places: at most so many of so many bytes.
///
/// # Errors
/// If SQLite fails.
pub fn fetch(
    connection: &Connection,
    found: Vec<Place>,
    limit: usize,
    most_bytes: usize,
) -> Result<Page, rusqlite::Error> {
    let mut page = Page::default();
    let mut fetch = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM record WHERE offset = ?"))?;
    let (mut bytes, mut last) = (0, None);
    for Place { position, offset, .. } in found {
        let body = fetch.query_row((offset,), |row| body_at(row, position)).optional()?.flatten();
        let Some(body) = body else {
            page.unreadable += 1;
            last = Some(position);
            continue;
        };
        if page.bodies.len() == limit || (bytes > 0 && bytes + body.len() > most_bytes) {
            page.next = last;
            break;
        }
        bytes += body.len();
        page.bodies.push(body);
        last = Some(position);
    }
    Ok(page)
}

/// The diagnosis of a row that an index found at this position, if both are sound.
fn body_at(row: &Row<'_>, position: ListPosition) -> Result<Option<Vec<u8>>, rusqlite::Error> {
    let Some(stored) = row::stored(row)? else { return Ok(None) };
    let is_there = stored.uid()? == Some(position.uid.into_bytes()) && stored.key()?.event_time == position.event_time;
    is_there.then(|| stored.bytes().map(<[u8]>::to_vec)).transpose()
}

/// One index, walked for one value of its first column.
struct Walk {
    index: &'static str,
    column: Option<(&'static str, Value)>,
}

/// The walks that together see every match: along the field of the filter that as a rule has the fewest matches.
fn walks(filter: &Filter) -> Vec<Walk> {
    let texts = |index, column, values: &BTreeSet<String>| {
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
    } else if filter.min_severity >= MIN_INDEXED_SEVERITY {
        let walk = |severity: i32| Walk {
            index: "latest_by_severity",
            column: Some(("severity", i64::from(severity).into())),
        };
        (filter.min_severity..=Severity::Critical.into()).map(walk).collect()
    } else {
        vec![Walk { index: "latest_by_time", column: None }]
    }
}

/// The rows of one walk, and those of them that a query asks for.
struct Scope {
    index: &'static str,
    /// What the index itself fulfils: the value of its first column, and the order of listing.
    range: Conditions,
    /// What rows of the index may not fulfil.
    rest: Conditions,
}

/// Conditions of SQL that all hold, with their values.
#[derive(Default)]
struct Conditions {
    sql: String,
    values: Vec<Value>,
}

impl Conditions {
    fn add(&mut self, text: &str, values: impl IntoIterator<Item = Value>) {
        self.sql.push_str(" AND ");
        self.sql.push_str(text);
        self.values.extend(values);
    }
}

impl Scope {
    fn new(query: &Query, walk: &Walk) -> Self {
        let (mut range, mut rest) = (Conditions::default(), Conditions::default());
        let driver = walk.column.as_ref().map(|(column, value)| {
            range.add(&format!("{column} = ?"), [value.clone()]);
            // SQLite uses a partial index only where the query has the same condition.
            match *column {
                "workload" | "workload_above" => range.add(&format!("{column} <> ''"), []),
                "severity" => range.add("severity > 1", []),
                _ => {}
            }
            *column
        });
        if let Some(time) = query.start_time {
            range.add("event_time >= ?", [time.into()]);
        }
        if let Some(time) = query.end_time {
            range.add("event_time < ?", [time.into()]);
        }
        if let Some(after) = query.after {
            range.add("(event_time, uid) < (?, ?)", values(after));
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
        for (column, texts) in [("namespace", namespaces), ("node", nodes), ("name", names), ("container", containers)]
        {
            if !texts.is_empty() && driver != Some(column) {
                rest.add(&one_of(column, texts.len()), texts.iter().map(|text| text.clone().into()));
            }
        }
        for (column, numbers) in [("cause", causes), ("kind", kinds)] {
            if !numbers.is_empty() && driver != Some(column) {
                rest.add(&one_of(column, numbers.len()), numbers.iter().map(|number| i64::from(*number).into()));
            }
        }
        if !query.except.is_empty() {
            let text = format!("NOT {}", one_of("namespace", query.except.len()));
            rest.add(&text, query.except.iter().map(|name| name.clone().into()));
        }
        if *min_severity > 0 && driver != Some("severity") {
            rest.add("severity >= ?", [i64::from(*min_severity).into()]);
        }
        if *min_confidence > 0 {
            rest.add("confidence >= ?", [i64::from(*min_confidence).into()]);
        }
        if *fatal_only {
            rest.add("fatal = 1", []);
        }
        Self { index: walk.index, range, rest }
    }

    /// Whether a row of the index may not be what is asked for.
    fn rejects(&self) -> bool {
        !self.rest.sql.is_empty()
    }

    /// The place of the nth row of the index, if there are more rows than that. It reads no record.
    fn nth(&self, connection: &Connection, n: usize) -> Result<Option<ListPosition>, rusqlite::Error> {
        let Self { index, range, .. } = self;
        let sql = format!(
            "SELECT event_time, uid FROM record INDEXED BY {index} WHERE latest = 1{}
             ORDER BY event_time DESC, uid DESC LIMIT 2 OFFSET ?",
            range.sql
        );
        let mut statement = connection.prepare_cached(&sql)?;
        let offset = i64::try_from(n.saturating_sub(1)).unwrap_or(i64::MAX);
        let bound = params_from_iter(range.values.iter().cloned().chain([offset.into()]));
        let mut rows = statement.query(bound)?;
        let place = rows.next()?.map(position).transpose()?;
        let has_more = rows.next()?.is_some();
        Ok(place.filter(|_| has_more))
    }

    /// The first places up to one, one more than asked for so that the end of the list is known.
    fn places(
        &self,
        connection: &Connection,
        limit: usize,
        last: Option<ListPosition>,
    ) -> Result<Vec<Place>, rusqlite::Error> {
        let Self { index, range, rest } = self;
        let until = if last.is_some() { " AND (event_time, uid) >= (?, ?)" } else { "" };
        let sql = format!(
            "SELECT event_time, uid, offset, namespace FROM record INDEXED BY {index} WHERE latest = 1{}{until}{}
             ORDER BY event_time DESC, uid DESC LIMIT ?",
            range.sql, rest.sql
        );
        let mut statement = connection.prepare_cached(&sql)?;
        let limit = i64::try_from(limit.saturating_add(1)).unwrap_or(i64::MAX);
        let bound = range.values.iter().cloned().chain(last.into_iter().flat_map(values));
        let bound = bound.chain(rest.values.iter().cloned()).chain([limit.into()]);
        let rows = statement.query_map(params_from_iter(bound), |row| {
            Ok(Place { position: position(row)?, offset: row.get(2)?, namespace: row.get(3)? })
        })?;
        rows.collect()
    }
}

/// The place in the first two columns.
fn position(row: &Row<'_>) -> Result<ListPosition, rusqlite::Error> {
    Ok(ListPosition { event_time: row.get(0)?, uid: Uuid::from_bytes(row.get(1)?) })
}

/// As `(event_time, uid)` of SQL.
fn values(place: ListPosition) -> [Value; 2] {
    [place.event_time.into(), place.uid.into_bytes().to_vec().into()]
}

fn one_of(column: &str, count: usize) -> String {
    format!("{column} IN ({})", vec!["?"; count].join(", "))
}

/// All kept revisions of one diagnosis, encoded, the newest first; at most `limit` of them and, behind the first, at
/// most `bytes`.
///
/// # Errors
/// If SQLite fails.
pub fn revisions(
    connection: &Connection,
    uid: Uuid,
    limit: usize,
    bytes: usize,
) -> Result<Vec<Vec<u8>>, rusqlite::Error> {
    let sql = format!("SELECT {COLUMNS} FROM record WHERE uid = ? ORDER BY revision DESC");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query((uid.into_bytes(),))?;
    let (mut bodies, mut size) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        let stored = row::stored(row)?;
        let of_uid = stored.filter(|stored| stored.uid().is_ok_and(|found| found == Some(uid.into_bytes())));
        let Some(stored) = of_uid else {
            // Of what is not the newest, the other revisions may be reported.
            match bodies.is_empty() {
                true => return Err(damaged()),
                false => continue,
            }
        };
        let body = stored.bytes()?.to_vec();
        size += body.len();
        if bodies.len() == limit || (size > bytes && !bodies.is_empty()) {
            break;
        }
        bodies.push(body);
    }
    Ok(bodies)
}

/// The error of a record whose checksum does not hold.
fn damaged() -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(
        ffi::Error::new(ffi::SQLITE_CORRUPT),
        Some("a record's checksum does not hold".into()),
    )
}

/// The uids of diagnoses from the first to the last of these, both included, in their order; at most `limit`.
///
/// # Errors
/// If SQLite fails.
pub fn uids(connection: &Connection, first: Uuid, last: Uuid, limit: usize) -> Result<Vec<Uuid>, rusqlite::Error> {
    let sql = "SELECT DISTINCT uid FROM record WHERE uid >= ? AND uid <= ? ORDER BY uid LIMIT ?";
    let mut statement = connection.prepare_cached(sql)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = statement.query_map((first.into_bytes(), last.into_bytes(), limit), |row| row.get(0))?;
    rows.map(|uid| uid.map(Uuid::from_bytes)).collect()
}

/// The gaps that were stored at this time or later, the newest first; at most `limit`. Costs one step for each gap that
/// is kept.
///
/// # Errors
/// If SQLite fails.
pub fn gaps(connection: &Connection, since: i64, limit: usize) -> Result<Vec<v1::Gap>, rusqlite::Error> {
    let sql = format!(
        "SELECT {COLUMNS} FROM record INDEXED BY gap_by_sequence WHERE uid IS NULL AND store_time >= ?
         ORDER BY offset DESC LIMIT ?"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query((since, i64::try_from(limit).unwrap_or(i64::MAX)))?;
    let mut gaps = Vec::new();
    while let Some(row) = rows.next()? {
        // One that cannot be read back is a gap of its own, and readers of the feed get it.
        let Some(stored) = row::stored(row)? else { continue };
        gaps.extend(v1::Gap::decode(stored.bytes()?).ok());
    }
    Ok(gaps)
}

/// The number and the age of the records in the ledger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// When the oldest record that is kept was stored, in nanoseconds since 1970; `None` if there is none.
    pub oldest_time: Option<i64>,
    /// The number of records that are kept.
    pub record_count: u64,
    /// Records that are stored, but not indexed yet.
    pub waiting_count: u64,
}

/// The extent of the ledger. Costs one step for each node.
///
/// # Errors
/// If SQLite fails.
pub fn extent(connection: &Connection) -> Result<Extent, rusqlite::Error> {
    let snapshot = connection.unchecked_transaction()?;
    let before = reader::expired(&snapshot)?.offset;
    let oldest_time = reader::store_time(&snapshot, before)?.map(|(_, time)| time);
    let (waiting, _) = inbox::waiting(&snapshot)?;
    let count = |records| u64::try_from(records).unwrap_or(0);
    Ok(Extent { oldest_time, record_count: count(holders::records(&snapshot)?), waiting_count: count(waiting.records) })
}

/// The nodes that were stored, with what is acknowledged to the last outbox of each.
///
/// # Errors
/// If SQLite fails.
pub fn nodes(connection: &Connection) -> Result<Vec<v1::NodeStatus>, rusqlite::Error> {
    let mut statement = connection.prepare(
        "SELECT name, push_time, status,
             coalesce((SELECT acknowledged FROM stream WHERE node = name ORDER BY push_time DESC, id DESC LIMIT 1), 0)
         FROM node",
    )?;
    let rows = statement.query_map((), |row| {
        let status: Vec<u8> = row.get(2)?;
        Ok(v1::NodeStatus {
            node: row.get(0)?,
            last_seen_time: Some(timestamp(row.get(1)?)),
            acknowledged_sequence: row.get::<_, i64>(3)?.unsigned_abs(),
            sources: v1::NodeStatus::decode(&*status).unwrap_or_default().sources,
            ..v1::NodeStatus::default()
        })
    })?;
    rows.collect()
}
