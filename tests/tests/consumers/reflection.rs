//! What the aggregator reveals of its protocol, and to which callers.

use anyhow::{Context, Result, ensure};
use coroner_tests::api_server::ApiServer;
use coroner_tests::secured::{Secured, write};
use futures::StreamExt as _;
use tonic::transport::Channel;
use tonic::{Code, Status};
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::{ServerReflectionRequest, ServerReflectionResponse};

use crate::python;

const READER: &str = "spiffe://coroner/reader/siem";
/// Streams that one caller may have at once.
const STREAMS: usize = 16;

/// Asks which services there are, and goes on to ask nothing.
async fn ask(channel: &Channel) -> Result<(tonic::Streaming<ServerReflectionResponse>, Vec<String>), Status> {
    let question = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let questions = futures::stream::iter([question]).chain(futures::stream::pending());
    let mut answers =
        ServerReflectionClient::new(channel.clone()).server_reflection_info(questions).await?.into_inner();
    let answer = answers.message().await?.and_then(|answer| answer.message_response);
    let Some(MessageResponse::ListServicesResponse(list)) = answer else { return Err(Status::unknown("no list")) };
    Ok((answers, list.service.into_iter().map(|service| service.name).collect()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_knows_nothing_of_us_learns_the_protocol_and_calls_it() -> Result<()> {
    let secured = Secured::start(None, &[]).await?;
    let directory = secured.directory();
    write(&directory, "reader", &secured.authority.client(READER)?)?;
    let place = directory.display().to_string();
    let output = python::run("reflection.py", &[&format!("localhost:{}", secured.address.port()), &place])?;
    let listed = String::from_utf8(output.stdout)?;
    let services: Vec<&str> = listed.lines().filter_map(|line| line.strip_prefix("service ")).collect();
    ensure!(
        services
            == [
                "coroner.v1.DiagnosisService",
                "coroner.v1.IngestService",
                "coroner.v1.NodeReportService",
                "grpc.reflection.v1alpha.ServerReflection"
            ],
        "{listed}"
    );
    ensure!(listed.contains(&format!("version {}", env!("CARGO_PKG_VERSION"))), "{listed}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn only_permitted_callers_are_answered_and_none_takes_all_streams() -> Result<()> {
    let api = ApiServer::start().await?;
    let mut secured = Secured::start(Some(&api), &[]).await?;
    let stranger = ask(&secured.channel(None)?).await;
    ensure!(stranger.as_ref().is_err_and(|status| status.code() == Code::Unauthenticated), "{stranger:?}");

    let channel = secured.channel(Some(&secured.authority.client(READER)?))?;
    let mut open = Vec::new();
    for _ in 0..STREAMS {
        let (stream, services) = ask(&channel).await?;
        ensure!(services.iter().any(|name| name == "coroner.v1.DiagnosisService"), "{services:?}");
        open.push(stream);
    }
    let more = ask(&channel).await;
    ensure!(more.as_ref().is_err_and(|status| status.code() == Code::ResourceExhausted), "{more:?}");
    let other = secured.authority.client("spiffe://coroner/reader/other")?;
    ask(&secured.channel(Some(&other))?).await.context("another caller")?;

    // Streams on which nothing is asked hold up no end: they end well.
    secured.stop()?;
    for stream in &mut open {
        ensure!(stream.message().await?.is_none(), "it was not ended");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn where_it_is_disabled_nothing_is_revealed() -> Result<()> {
    let secured = Secured::start(None, &["--no-reflection"]).await?;
    let channel = secured.channel(Some(&secured.authority.client(READER)?))?;
    let answer = ask(&channel).await;
    ensure!(answer.as_ref().is_err_and(|status| status.code() == Code::Unimplemented), "{answer:?}");
    Ok(())
}
