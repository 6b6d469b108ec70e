//! `coroner.v1.DiagnosisService`: who may ask, and who answers.

use std::pin::Pin;

use coroner_proto::v1::{
    GetDiagnosisRequest, GetDiagnosisResponse, GetStatusRequest, GetStatusResponse, ListDiagnosesRequest,
    ListDiagnosesResponse, WatchDiagnosesRequest, WatchDiagnosesResponse, diagnosis_service_server::DiagnosisService,
};
use futures::Stream;
use tonic::{Request, Response, Status, async_trait};

use crate::{auth::Caller, feed::Feed, query::Queries, status};

/// The service `coroner.v1.DiagnosisService`, which answers readers.
#[derive(Debug)]
pub struct Diagnoses {
    /// Streams of the feed.
    pub feed: Feed,
    /// Lists and single diagnoses.
    pub queries: Queries,
    /// The state of the aggregator itself.
    pub status: status::Status,
}

#[async_trait]
impl DiagnosisService for Diagnoses {
    type WatchDiagnosesStream = Pin<Box<dyn Stream<Item = Result<WatchDiagnosesResponse, Status>> + Send>>;

    async fn watch_diagnoses(
        &self,
        request: Request<WatchDiagnosesRequest>,
    ) -> Result<Response<Self::WatchDiagnosesStream>, Status> {
        let caller = Caller::of(request.extensions())?;
        let frames = self.feed.watch(request.into_inner(), &caller)?;
        Ok(Response::new(Box::pin(frames)))
    }

    async fn list_diagnoses(
        &self,
        request: Request<ListDiagnosesRequest>,
    ) -> Result<Response<ListDiagnosesResponse>, Status> {
        let reader = Caller::of(request.extensions())?.reader()?;
        self.queries.list(request.into_inner(), &reader).await.map(Response::new)
    }

    async fn get_diagnosis(
        &self,
        request: Request<GetDiagnosisRequest>,
    ) -> Result<Response<GetDiagnosisResponse>, Status> {
        let reader = Caller::of(request.extensions())?.reader()?;
        self.queries.get(request.into_inner(), &reader).await.map(Response::new)
    }

    async fn get_status(&self, request: Request<GetStatusRequest>) -> Result<Response<GetStatusResponse>, Status> {
        let reader = Caller::of(request.extensions())?.reader()?;
        Ok(Response::new(self.status.get(reader.sees("").await?).await?))
    }
}
