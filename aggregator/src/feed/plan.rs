//! What the client of a stream asked for.

use std::sync::Arc;

use coroner_proto::v1::{WatchDiagnosesRequest, watch_diagnoses_request as request};
use tonic::Status;

use crate::{
    auth::Reader,
    fields::{size, time},
    filter::Selection,
    ledger::Limits,
    mask::Mask,
    token::ResumeToken,
};

/// Diagnoses of one batch, by default and at most.
const BATCH_SIZE: (usize, usize) = (100, 500);
/// Bytes of one batch, roughly: a stream holds four, in one shape or another.
const BATCH_BYTES: usize = 128 << 10;
/// The same of a stream for a browser: some rows.
const LIGHT_BATCH_BYTES: usize = 4 << 10;
/// Records looked at in one go; many when few of them are wanted.
const SCAN: usize = 2_000;

/// What a client asked a stream for.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) start: Start,
    pub(super) selection: Arc<Selection>,
    pub(super) mask: Mask,
    pub(super) stop_at_end: bool,
    pub(super) limits: Limits,
    pub(super) reader: Reader,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Start {
    Token(ResumeToken),
    Time(i64),
    Oldest,
    Now,
}

impl Plan {
    pub(super) fn new(request: WatchDiagnosesRequest, reader: Reader) -> Result<Self, Status> {
        let WatchDiagnosesRequest { start, include, exclude, read_mask, stop_at_end, max_batch_size } = request;
        let start = match start {
            Some(request::Start::ResumeToken(token)) => Start::Token(ResumeToken::decode(&token)?),
            Some(request::Start::StartTime(start)) => Start::Time(time("start_time", &start)?),
            Some(request::Start::FromOldest(true)) => Start::Oldest,
            Some(request::Start::FromOldest(false) | request::Start::FromNow(_)) | None => Start::Now,
        };
        let records = size("max_batch_size", max_batch_size, BATCH_SIZE)?;
        Ok(Self {
            start,
            selection: Arc::new(Selection::new(include, exclude)?),
            mask: Mask::new(read_mask)?,
            stop_at_end,
            limits: Limits { scan: SCAN, records, bytes: BATCH_BYTES },
            reader,
        })
    }

    /// The same plan in small batches.
    pub(super) fn light(self) -> Self {
        Self { limits: Limits { bytes: LIGHT_BATCH_BYTES, ..self.limits }, ..self }
    }
}
