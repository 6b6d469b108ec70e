//! Queries: lists and single diagnoses.

use std::{collections::BTreeSet, sync::Arc};

use coroner_proto::v1::{Gap, GetDiagnosisRequest, GetDiagnosisResponse, ListDiagnosesRequest, ListDiagnosesResponse};
use prost::Message;
use prost_types::Timestamp;
use tonic::Status;
use uuid::Uuid;

use crate::{
    auth::{Reader, Sight, withhold_related},
    budget::Budget,
    fields::{size, time},
    filter::Filter,
    ledger::{self, Found, Ledger, Page, Query},
    mask::Mask,
    token::{PageToken, question},
};

/// Diagnoses of one page, by default and at most.
const PAGE_SIZE: (usize, usize) = (100, 1000);
/// Diagnoses that are looked at in one go for a reader who may not see all,
const LOOK: usize = 1_000;
/// and how often one request may have them looked at.
const MAX_LOOKS: usize = 8;
/// Namespaces of others that are left out while looking.
const MAX_EXCEPT: usize = 200;
/// Earlier revisions of one diagnosis that are given.
const MAX_REVISIONS: usize = 100;

/// Diagnoses that are looked at, of those whose uids begin alike.
const MAX_CANDIDATES: usize = 16;
/// Hexadecimal digits of a uid that name it at least.
const MIN_DIGITS: usize = 8;

/// Answers lists and requests for single diagnoses.
#[derive(Clone, Debug)]
pub struct Queries {
    ledger: Arc<Ledger>,
    /// Bytes of one answer, roughly.
    answer_bytes: usize,
}

impl Queries {
    /// Answers from this ledger, within this budget of memory.
    pub fn new(ledger: Arc<Ledger>, budget: Budget) -> Self {
        Self { ledger, answer_bytes: budget.one_answer_bytes() }
    }

    /// One page of the last revisions that the reader may see.
    ///
    /// # Errors
    /// As `ListDiagnoses`.
    pub async fn list(&self, request: ListDiagnosesRequest, reader: &Reader) -> Result<ListDiagnosesResponse, Status> {
        let ListDiagnosesRequest { filter, start_time, end_time, page_size, page_token, read_mask } = request;
        let filter = filter.unwrap_or_default();
        let question = question((filter.encode_to_vec(), start_time, end_time));
        let mask = Mask::new(read_mask)?;
        let after = match page_token.as_str() {
            "" => None,
            token => Some(PageToken::decode(token, question)?.position),
        };
        let query = Query {
            filter: Filter::new(filter)?,
            except: BTreeSet::new(),
            start_time: start_time.map(|t| time("start_time", &t)).transpose()?,
            end_time: end_time.map(|t| time("end_time", &t)).transpose()?,
            after,
            limit: size("page_size", page_size, PAGE_SIZE)?,
            bytes: self.answer_bytes,
            scan: Query::SCAN,
        };
        let page = match reader.sees_everything().await? {
            true => self.ledger.query(move |c| ledger::list(c, &query)).await?,
            false => self.visible(query, reader).await?,
        };
        let unreadable_count = u32::try_from(page.unreadable).unwrap_or(u32::MAX);
        let mut diagnoses = page.bodies.iter().map(|body| mask.decode(body)).collect::<Result<Vec<_>, _>>()?;
        withhold_related(reader, &mut diagnoses).await?;
        let next_page_token = page.next.map(|position| PageToken { position, question }.encode()).unwrap_or_default();
        Ok(ListDiagnosesResponse { diagnoses, next_page_token, unreadable_count })
    }

    /// One diagnosis with its earlier revisions, if the reader may see it. A beginning of its uid names it if the
    /// reader sees no other that begins so.
    ///
    /// # Errors
    /// As `GetDiagnosis`.
    pub async fn get(&self, request: GetDiagnosisRequest, reader: &Reader) -> Result<GetDiagnosisResponse, Status> {
        let GetDiagnosisRequest { uid } = request;
        let uids = match Uuid::parse_str(&uid) {
            Ok(uid) => vec![uid],
            Err(_) => {
                let (first, last) = beginning(&uid).ok_or_else(|| {
                    Status::invalid_argument("uid is neither a UUID nor the first eight or more characters of one")
                })?;
                self.ledger.query(move |c| ledger::uids(c, first, last, MAX_CANDIDATES)).await?
            }
        };
        let mut found = None;
        for uid in uids {
            if let Some(answer) = self.revisions(uid, reader).await?
                && found.replace(answer).is_some()
            {
                return Err(Status::invalid_argument("several diagnoses have a uid that begins so: give more of it"));
            }
        }
        found.ok_or_else(|| Status::not_found(format!("there is no diagnosis {uid}")))
    }

    /// The losses that were recorded at this time or later, the newest first. They are for all; their texts are for
    /// those who see nodes.
    ///
    /// # Errors
    /// `UNAVAILABLE` if the ledger cannot be read, or the API server does not answer what the reader may see.
    pub async fn gaps(&self, since: Timestamp, limit: usize, reader: &Reader) -> Result<Vec<Gap>, Status> {
        let since = time("since", &since)?;
        let mut gaps = self.ledger.query(move |c| ledger::gaps(c, since, limit)).await?;
        if !reader.sees("").await? {
            for gap in &mut gaps {
                (gap.text, gap.text_message) = (String::new(), None);
            }
        }
        Ok(gaps)
    }

    /// The diagnosis with this uid. `None` also if the reader may not see it: that it exists is not theirs to know.
    async fn revisions(&self, uid: Uuid, reader: &Reader) -> Result<Option<GetDiagnosisResponse>, Status> {
        let bytes = self.answer_bytes;
        let look = move |c: &_| ledger::revisions(c, uid, MAX_REVISIONS + 1, bytes);
        let bodies = self.ledger.query(look).await?;
        for namespace in bodies.iter().map(|body| namespace_of(body)).collect::<Result<BTreeSet<_>, _>>()? {
            if !reader.sees(&namespace).await? {
                return Ok(None);
            }
        }
        let revisions = bodies.iter().map(|body| Mask::default().decode(body));
        let mut earlier_revisions = revisions.collect::<Result<Vec<_>, _>>()?;
        if earlier_revisions.is_empty() {
            return Ok(None);
        }
        withhold_related(reader, &mut earlier_revisions).await?;
        let newest = earlier_revisions.remove(0);
        Ok(Some(GetDiagnosisResponse { diagnosis: Some(newest), earlier_revisions }))
    }

    /// One page of what a reader may see who may not see all. It is looked for from the newest on, and the API server
    /// is asked about the namespaces that come up, a bounded number of them; a page may hold less than was asked for,
    /// or nothing, and name a next one.
    async fn visible(&self, query: Query, reader: &Reader) -> Result<Page, Status> {
        let mut sight = Sight::of(reader);
        let mut query = query;
        let (limit, bytes) = (query.limit, query.bytes);
        query.limit = limit.max(LOOK);
        let asked: Vec<String> = query.filter.namespaces.iter().cloned().collect();
        if !asked.is_empty() {
            sight.learn(asked.iter().map(String::as_str)).await?;
            query.filter.namespaces.retain(|namespace| sight.sees(namespace) != Some(false));
            if query.filter.namespaces.is_empty() {
                return Ok(Page::default());
            }
        }
        let (mut chosen, mut is_whole) = (Vec::new(), false);
        for _ in 0..MAX_LOOKS {
            let look = query.clone();
            let Found { places: mut found, looked_to } = self.ledger.query(move |c| ledger::find(c, &look)).await?;
            is_whole = found.len() <= query.limit && looked_to.is_none();
            found.truncate(query.limit);
            sight.learn(found.iter().map(|place| place.namespace.as_str())).await?;
            let mut is_stopped = false;
            for place in found {
                match sight.sees(&place.namespace) {
                    Some(true) if chosen.len() > limit => is_stopped = true,
                    Some(sees) => {
                        query.after = Some(place.position);
                        if sees {
                            chosen.push(place);
                        } else if query.except.len() < MAX_EXCEPT {
                            query.except.insert(place.namespace);
                        }
                    }
                    None => is_stopped = true,
                }
                if is_stopped {
                    is_whole = false;
                    break;
                }
            }
            if is_whole || is_stopped {
                break;
            }
            if looked_to.is_some() {
                query.after = looked_to;
                break;
            }
        }
        let after = query.after;
        let mut page = self.ledger.query(move |c| ledger::fetch(c, chosen, limit, bytes)).await?;
        if page.next.is_none() && !is_whole {
            page.next = after;
        }
        Ok(page)
    }
}

/// The first and the last uid that begin with this text.
fn beginning(text: &str) -> Option<(Uuid, Uuid)> {
    let digits = text.replace('-', "");
    let is_beginning =
        (MIN_DIGITS..32).contains(&digits.len()) && digits.chars().all(|digit| digit.is_ascii_hexdigit());
    let filled = |with: &str| Uuid::parse_str(&format!("{digits}{}", with.repeat(32 - digits.len()))).ok();
    if is_beginning { filled("0").zip(filled("f")) } else { None }
}

fn namespace_of(body: &[u8]) -> Result<String, Status> {
    Ok(Mask::default().decode(body)?.subject.unwrap_or_default().namespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_of_a_uid_names_a_range() {
        let (first, last) = beginning("5b0c3a5e-6").unwrap();
        assert_eq!(first.to_string(), "5b0c3a5e-6000-0000-0000-000000000000");
        assert_eq!(last.to_string(), "5b0c3a5e-6fff-ffff-ffff-ffffffffffff");
        for text in ["", "5b0c3a5", "5b0c3a5x", "web-5d9c-x7k2", "5b0c3a5e6a0f5d2e9e550a4f6c1d2e3f00"] {
            assert_eq!(beginning(text), None, "{text}");
        }
    }
}
