//! Queries: lists and single diagnoses.

use std::{collections::BTreeSet, sync::Arc};

use coroner_proto::v1::{GetDiagnosisRequest, GetDiagnosisResponse, ListDiagnosesRequest, ListDiagnosesResponse};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use prost::Message;
use tonic::Status;
use uuid::Uuid;

use crate::{
    auth::Reader,
    fields::{size, time},
    filter::Filter,
    ledger::{self, Ledger, Query},
    mask::Mask,
    token::{PageToken, question},
};

/// Bytes of one answer, roughly: clients take messages of 4 MiB by default.
const MAX_ANSWER_BYTES: usize = 3 << 20;
/// Diagnoses of one page, if the client does not say, and at most.
const PAGE_SIZE: (usize, usize) = (100, 1000);
/// Namespaces that are asked for one by one, for a reader who may not see all.
const MAX_NAMESPACES: usize = 5_000;
/// Of these at once.
const QUESTIONS: usize = 8;
/// Earlier revisions of one diagnosis that are given.
const MAX_REVISIONS: usize = 100;

/// Answers queries.
#[derive(Clone, Debug)]
pub struct Queries {
    ledger: Arc<Ledger>,
}

impl Queries {
    /// Of this ledger.
    pub fn new(ledger: Arc<Ledger>) -> Self {
        Self { ledger }
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
        let mut filter = Filter::new(filter)?;
        if !self.narrow(&mut filter, reader).await? {
            return Ok(ListDiagnosesResponse::default());
        }
        let query = Query {
            filter,
            start_time: start_time.map(|t| time("start_time", &t)).transpose()?,
            end_time: end_time.map(|t| time("end_time", &t)).transpose()?,
            after,
            limit: size("page_size", page_size, PAGE_SIZE)?,
            bytes: MAX_ANSWER_BYTES,
        };
        let page = self.ledger.query(move |c| ledger::list(c, &query)).await?;
        let diagnoses = page.bodies.iter().map(|body| mask.decode(body)).collect::<Result<_, _>>()?;
        let next_page_token = page.next.map(|position| PageToken { position, question }.encode()).unwrap_or_default();
        Ok(ListDiagnosesResponse { diagnoses, next_page_token })
    }

    /// One diagnosis with its earlier revisions, if the reader may see it.
    ///
    /// # Errors
    /// As `GetDiagnosis`.
    pub async fn get(&self, request: GetDiagnosisRequest, reader: &Reader) -> Result<GetDiagnosisResponse, Status> {
        let uid = request.uid;
        let uid = Uuid::parse_str(&uid).map_err(|_| Status::invalid_argument("uid is not a UUID"))?;
        let look = move |c: &_| ledger::revisions(c, uid, MAX_REVISIONS + 1, MAX_ANSWER_BYTES);
        let bodies = self.ledger.query(look).await?;
        let none = || Status::not_found(format!("there is no diagnosis {uid}"));
        for namespace in bodies.iter().map(|body| namespace_of(body)).collect::<Result<BTreeSet<_>, _>>()? {
            // As if there were none: that there is one is not theirs to know.
            if !reader.sees(&namespace).await? {
                return Err(none());
            }
        }
        let mut revisions = bodies.iter().map(|body| Mask::default().decode(body));
        let newest = revisions.next().ok_or_else(none)?;
        let earlier_revisions = revisions.collect::<Result<_, _>>()?;
        Ok(GetDiagnosisResponse { diagnosis: Some(newest?), earlier_revisions })
    }

    /// Leaves of a filter what its reader may see; false if that is nothing.
    async fn narrow(&self, filter: &mut Filter, reader: &Reader) -> Result<bool, Status> {
        if reader.sees_everything().await? {
            return Ok(true);
        }
        let asked = match filter.namespaces.is_empty() {
            false => filter.namespaces.iter().cloned().collect(),
            true => self.ledger.query(|c| ledger::namespaces(c, MAX_NAMESPACES + 1)).await?,
        };
        if asked.len() > MAX_NAMESPACES {
            return Err(Status::failed_precondition("there are too many namespaces to ask for each: name some"));
        }
        let answers = stream::iter(asked).map(|namespace: String| {
            let reader = reader.clone();
            async move { Ok::<_, Status>((reader.sees(&namespace).await?, namespace)) }
        });
        let answers: Vec<(bool, String)> = answers.buffer_unordered(QUESTIONS).try_collect().await?;
        filter.namespaces = answers.into_iter().filter(|(sees, _)| *sees).map(|(_, namespace)| namespace).collect();
        Ok(!filter.namespaces.is_empty())
    }
}

fn namespace_of(body: &[u8]) -> Result<String, Status> {
    Ok(Mask::default().decode(body)?.subject.unwrap_or_default().namespace)
}
