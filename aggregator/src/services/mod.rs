//! The services, as every listener offers them.

mod diagnoses;
mod reflection;

use coroner_proto::v1::{
    diagnosis_service_server::DiagnosisServiceServer, ingest_service_server::IngestServiceServer,
    node_report_service_server::NodeReportServiceServer,
};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

pub use self::diagnoses::Diagnoses;
use crate::{
    auth::Right,
    intake::{Intake, Limiter, MAX_PUSH_BYTES},
    traffic::{Method, Request},
    triage,
};

/// Bytes of a node's report.
const MAX_REPORT_BYTES: usize = 64 << 10;
/// Bytes of a request to the feed: filters and masks.
const MAX_QUESTION_BYTES: usize = 256 << 10;
/// Where the description of the protocol is served, by its name of today and by that of yesterday.
const REFLECTION: [&str; 2] = ["/grpc.reflection.v1.ServerReflection/", "/grpc.reflection.v1alpha.ServerReflection/"];

/// The method with this path; `None` if no service has it.
pub fn method(path: &str) -> Option<Method> {
    let read = |message, streams| {
        let request = Request::One { message, bytes: MAX_QUESTION_BYTES };
        Method { right: Right::Read, request, streams }
    };
    Some(match path {
        "/coroner.v1.IngestService/PushDiagnoses" => {
            let request = Request::One { message: ".coroner.v1.PushDiagnosesRequest", bytes: MAX_PUSH_BYTES };
            Method { right: Right::Push, request, streams: false }
        }
        "/coroner.v1.NodeReportService/ReportNode" => {
            let request = Request::One { message: ".coroner.v1.ReportNodeRequest", bytes: MAX_REPORT_BYTES };
            Method { right: Right::Push, request, streams: false }
        }
        "/coroner.v1.DiagnosisService/WatchDiagnoses" => read(".coroner.v1.WatchDiagnosesRequest", true),
        "/coroner.v1.DiagnosisService/ListDiagnoses" => read(".coroner.v1.ListDiagnosesRequest", false),
        "/coroner.v1.DiagnosisService/GetDiagnosis" => read(".coroner.v1.GetDiagnosisRequest", false),
        "/coroner.v1.DiagnosisService/GetStatus" => read(".coroner.v1.GetStatusRequest", false),
        _ if REFLECTION.iter().any(|service| path.starts_with(service)) => {
            Method { right: Right::Describe, request: Request::Stream, streams: true }
        }
        _ => return None,
    })
}

/// All gRPC services of an aggregator.
pub fn routes(intake: Intake, reports: triage::Service, diagnoses: Diagnoses) -> Routes {
    let reports = NodeReportServiceServer::new(reports).max_decoding_message_size(MAX_REPORT_BYTES);
    let intake = IngestServiceServer::new(intake).max_decoding_message_size(MAX_PUSH_BYTES);
    let diagnoses = DiagnosisServiceServer::new(diagnoses).max_decoding_message_size(MAX_QUESTION_BYTES);
    Routes::new(Limiter::new(intake)).add_service(reports).add_service(diagnoses)
}

/// Adds the description of the protocol; its streams end when `stop` is cancelled.
///
/// # Errors
/// That the descriptors of this program's own protocol cannot be used.
pub fn with_reflection(routes: Routes, stop: &CancellationToken) -> Result<Routes, tonic_reflection::server::Error> {
    reflection::add(routes, stop)
}

#[cfg(test)]
mod tests {
    use prost::Message as _;
    use prost_types::FileDescriptorSet;

    use super::*;

    #[test]
    fn every_method_of_the_protocol_is_known_by_its_path_with_its_request() {
        let set = FileDescriptorSet::decode(coroner_proto::DESCRIPTORS).unwrap();
        let services =
            set.file.iter().flat_map(|file| file.service.iter().map(move |service| (file.package(), service)));
        let mut count = 0;
        for (package, service) in services {
            for described in &service.method {
                let path = format!("/{package}.{}/{}", service.name(), described.name());
                let Method { request, streams, .. } = method(&path).unwrap_or_else(|| panic!("{path}"));
                let Request::One { message, .. } = request else { panic!("{path} takes one message") };
                assert_eq!((message, streams), (described.input_type(), described.server_streaming()), "{path}");
                count += 1;
            }
        }
        assert!(count >= 5);
    }
}
