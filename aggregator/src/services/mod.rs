//! The services, as every listener offers them.

mod diagnoses;
mod reflection;

use coroner_proto::v1::{diagnosis_service_server::DiagnosisServiceServer, ingest_service_server::IngestServiceServer};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

pub use self::diagnoses::Diagnoses;
use crate::intake::{Intake, Limiter, MAX_PUSH_BYTES};

/// Bytes of a request to the feed: filters and masks.
const MAX_REQUEST_BYTES: usize = 256 << 10;

/// Intake and feed.
pub fn routes(intake: Intake, diagnoses: Diagnoses) -> Routes {
    let intake = IngestServiceServer::new(intake).max_decoding_message_size(MAX_PUSH_BYTES);
    let diagnoses = DiagnosisServiceServer::new(diagnoses).max_decoding_message_size(MAX_REQUEST_BYTES);
    Routes::new(Limiter::new(intake)).add_service(diagnoses)
}

/// Adds the description of the protocol; its streams end when `stop` is cancelled.
///
/// # Errors
/// That the descriptors of this program's own protocol cannot be used.
pub fn with_reflection(routes: Routes, stop: &CancellationToken) -> Result<Routes, tonic_reflection::server::Error> {
    reflection::add(routes, stop)
}
