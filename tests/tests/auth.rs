//! Authentication and authorization, with the real programs: a caller without permission is refused with the right
//! status, and the service continues.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use coroner_proto::v1::diagnosis_service_client::DiagnosisServiceClient;
use coroner_proto::v1::ingest_service_client::IngestServiceClient;
use coroner_proto::v1::outbox_record::Record;
use coroner_proto::v1::watch_diagnoses_request::Start;
use coroner_proto::v1::watch_diagnoses_response::Frame;
use coroner_proto::v1::{
    Cause, Confidence, Diagnosis, Gap, GapReason, GetDiagnosisRequest, GetStatusRequest, ListDiagnosesRequest, Node,
    OutboxRecord, Pod, PushDiagnosesRequest, Related, Severity, Subject, SubjectKind, WatchDiagnosesRequest,
};
use coroner_tests::api_server::ApiServer;
use coroner_tests::secured::{Authority, Pair, Secured, write};
use coroner_tests::until;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

const AGENT: &str = "system:serviceaccount:coroner:coroner-agent";
const READER: &str = "spiffe://coroner/reader/siem";
const NODE: &str = "spiffe://coroner/node/n1";

fn with_token<M>(message: M, token: &str) -> Result<Request<M>> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse()?);
    Ok(request)
}

fn push(node: &str, records: Vec<Record>) -> PushDiagnosesRequest {
    let records = (1..).zip(records).map(|(sequence, record)| OutboxRecord { sequence, record: Some(record) });
    PushDiagnosesRequest { node: node.into(), stream_id: "o".into(), records: records.collect(), ..Default::default() }
}

/// The nth diagnosis, of a pod in this namespace; of the node, in none.
fn diagnosis(n: u64, namespace: &str) -> Record {
    let kind = if namespace.is_empty() { SubjectKind::Node } else { SubjectKind::Pod };
    let name = if namespace.is_empty() { "n1".into() } else { format!("web-{n}") };
    let subject =
        Subject { kind: kind.into(), namespace: namespace.into(), name, node: "n1".into(), ..Subject::default() };
    Record::Diagnosis(Diagnosis {
        uid: uid(n),
        revision: 1,
        subject: Some(subject),
        cause: Cause::OomContainerLimit.into(),
        confidence: Confidence::Certain.into(),
        severity: Severity::Error.into(),
        event_time: Some(std::time::SystemTime::UNIX_EPOCH.into()),
        summary: format!("number {n}"),
        ..Diagnosis::default()
    })
}

fn uid(n: u64) -> String {
    format!("00000000-0000-4000-8000-{n:012}")
}

fn code<T>(answer: Result<T, Status>) -> Code {
    answer.map_or_else(|status| status.code(), |_| Code::Ok)
}

/// The same, with pods of two namespaces that took part.
fn with_related(mut record: Record) -> Record {
    if let Record::Diagnosis(diagnosis) = &mut record {
        diagnosis.related = ["shop", "bank"].map(|of| Related { namespace: of.into(), ..Related::default() }).into();
    }
    record
}

async fn ask(feed: &mut DiagnosisServiceClient<Channel>) -> Code {
    code(feed.get_status(GetStatusRequest {}).await)
}

async fn ask_with(feed: &mut DiagnosisServiceClient<Channel>, token: &str) -> Result<Code> {
    Ok(code(feed.get_status(with_token(GetStatusRequest {}, token)?).await))
}

/// Waits for a refusal in the log: a client may learn of it first.
async fn until_logged(secured: &Secured, reason: &str) -> Result<()> {
    let line = format!("reason=\"{reason}\"");
    until(&format!("{line} is logged"), async || Ok(secured.log().contains(&line).then_some(()))).await
}

/// It answers those who belong.
async fn ensure_alive(secured: &mut Secured) -> Result<()> {
    secured.check()?;
    let reader = secured.authority.client(READER)?;
    let answer = ask(&mut secured.feed(Some(&reader))?).await;
    ensure!(answer == Code::Ok, "{answer:?}\n{}", secured.log());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_with_a_token_pushes_for_the_node_of_its_pod() -> Result<()> {
    let api = ApiServer::start().await?;
    api.issue("token-of-n1", AGENT, "coroner", Some("n1"));
    api.issue("token-of-nowhere", AGENT, "coroner", None);
    api.issue("token-of-vault", AGENT, "vault", Some("n1"));
    api.issue("token-of-another", "system:serviceaccount:shop:web", "coroner", Some("n1"));
    let mut secured = Secured::start(Some(&api), &[]).await?;
    let mut ingest = secured.ingest(None)?;
    let mut push_as = async |token: &str, node: &str| -> Result<Code> {
        Ok(code(ingest.push_diagnoses(with_token(push(node, vec![]), token)?).await))
    };
    ensure!(push_as("token-of-n1", "n1").await? == Code::Ok);
    ensure!(push_as("token-of-n1", "n2").await? == Code::PermissionDenied, "a forged node");
    ensure!(push_as("token-of-n1", "_cluster").await? == Code::PermissionDenied, "the cluster's own name");
    ensure!(push_as("token-of-nowhere", "n1").await? == Code::PermissionDenied, "a token of no node");
    ensure!(push_as("token-of-another", "n1").await? == Code::PermissionDenied, "a token of another account");
    ensure!(push_as("token-of-vault", "n1").await? == Code::Unauthenticated, "a token of another audience");
    ensure!(push_as("made-up", "n1").await? == Code::Unauthenticated, "an invalid token");
    ensure!(ask_with(&mut secured.feed(None)?, "token-of-n1").await? == Code::PermissionDenied, "an agent that reads");
    ensure!(ask(&mut secured.feed(None)?).await == Code::Unauthenticated, "no credential");

    // What is logged about them contains no secret.
    for reason in ["other_node", "nothing_shown", "token", "no_reader"] {
        until_logged(&secured, reason).await?;
    }
    let log = secured.log();
    for token in ["token-of-", "made-up"] {
        ensure!(!log.contains(token), "a token is logged:\n{log}");
    }
    ensure_alive(&mut secured).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_with_a_certificate_pushes_for_the_node_in_it() -> Result<()> {
    let mut secured = Secured::start(None, &[]).await?;
    let node = secured.authority.client(NODE)?;
    let mut ingest = secured.ingest(Some(&node))?;
    ensure!(code(ingest.push_diagnoses(push("n1", vec![])).await) == Code::Ok);
    ensure!(code(ingest.push_diagnoses(push("n2", vec![])).await) == Code::PermissionDenied);
    ensure!(ask(&mut secured.feed(Some(&node))?).await == Code::PermissionDenied);

    // A record about another node in a push for its own is refused alone, and readers get a gap.
    let Record::Diagnosis(mut forged) = diagnosis(2, "shop") else { unreachable!("it is one") };
    forged.subject.get_or_insert_default().node = "n2".into();
    let records = vec![diagnosis(1, "shop"), Record::Diagnosis(forged)];
    let answer = ingest.push_diagnoses(push("n1", records)).await?.into_inner();
    let refused: Vec<u64> = answer.rejected.iter().map(|rejected| rejected.sequence).collect();
    ensure!(refused == [2], "{answer:?}");

    let reader = secured.authority.client(READER)?;
    let pushed = secured.ingest(Some(&reader))?.push_diagnoses(push("n1", vec![])).await;
    ensure!(code(pushed) == Code::PermissionDenied, "a reader pushes");
    ensure!(read(&mut secured.feed(Some(&reader))?, None).await?.uids == BTreeSet::from([uid(1)]));
    let status = secured.feed(Some(&reader))?.get_status(GetStatusRequest {}).await?.into_inner();
    let counts: Vec<_> = status.refusals.iter().map(|refusals| (refusals.reason.as_str(), refusals.count)).collect();
    ensure!(counts == [("other_node", 2), ("no_reader", 1)], "{counts:?}");
    ensure_alive(&mut secured).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_reports_its_own_node_alone() -> Result<()> {
    let mut secured = Secured::start(None, &[]).await?;
    let nodes = [secured.authority.client(NODE)?, secured.authority.client("spiffe://coroner/node/n2")?];
    let honest = |change: fn(&mut Diagnosis)| {
        let Record::Diagnosis(mut diagnosis) = diagnosis(1, "shop") else { unreachable!("it is one") };
        change(&mut diagnosis);
        Record::Diagnosis(diagnosis)
    };
    // Without its node's name: it is n1's all the same.
    let nameless = honest(|reply| reply.subject.get_or_insert_default().node.clear());
    secured.ingest(Some(&nodes[0]))?.push_diagnoses(push("n1", vec![nameless])).await?;

    let subject = |change: fn(&mut Subject)| {
        let Record::Diagnosis(mut diagnosis) = diagnosis(2, "shop") else { unreachable!("it is one") };
        let subject = diagnosis.subject.get_or_insert_default();
        subject.node.clear();
        change(subject);
        diagnosis
    };
    let of_service = subject(|subject| subject.kind = SubjectKind::Service.into());
    let elsewhere = Pod { namespace: "bank".into(), name: "web-2".into(), ..Pod::default() };
    let node = Node { name: "n1".into(), ..Node::default() };
    let forged = vec![
        Record::Diagnosis(of_service),
        Record::Diagnosis(Diagnosis { pod: Some(elsewhere), ..subject(|_| ()) }),
        Record::Diagnosis(Diagnosis { node: Some(node), ..subject(|_| ()) }),
        Record::Diagnosis(subject(|subject| (subject.kind, subject.name) = (SubjectKind::Node.into(), "n1".into()))),
        Record::Diagnosis(Diagnosis { revision: u32::MAX, ..subject(|_| ()) }),
        Record::Gap(Gap { source: "ledger".into(), reason: GapReason::Retention.into(), ..Gap::default() }),
        Record::Gap(Gap { node: "n1".into(), source: "kernel_log".into(), ..Gap::default() }),
        // A better explanation of what n1 has reported.
        honest(|reply| (reply.revision, reply.subject.get_or_insert_default().node) = (2, String::new())),
    ];
    let mut ingest = secured.ingest(Some(&nodes[1]))?;
    let answer = ingest.push_diagnoses(push("n2", forged)).await?.into_inner();
    let refused: Vec<u64> = answer.rejected.iter().map(|rejected| rejected.sequence).collect();
    ensure!(refused == [1, 2, 3, 4, 5, 6, 7], "{answer:?}");
    let ahead = Some(prost_types::Timestamp { seconds: 9_000_000_000, nanos: 0 });
    let later = Diagnosis { event_time: ahead, ..subject(|_| ()) };
    ingest
        .push_diagnoses(PushDiagnosesRequest { stream_id: "p".into(), ..push("n2", vec![Record::Diagnosis(later)]) })
        .await?;

    let reader = secured.authority.client(READER)?;
    let mut feed = secured.feed(Some(&reader))?;
    let reply = feed.get_diagnosis(GetDiagnosisRequest { uid: uid(1) }).await?.into_inner();
    ensure!(reply.diagnosis.context("it is there")?.revision == 1 && reply.earlier_revisions.is_empty());
    let gaps = read(&mut feed, None).await?.gaps;
    ensure!(gaps.len() == 2 && gaps.iter().all(|gap| gap.node == "n2"), "{gaps:?}");
    let reply =
        feed.get_diagnosis(GetDiagnosisRequest { uid: uid(2) }).await?.into_inner().diagnosis.context("there")?;
    ensure!(reply.event_time.is_some_and(|time| time.seconds < 8_000_000_000), "{reply:?}");
    ensure!(reply.clock_uncertainty.is_some_and(|off| off.seconds > 1_000_000_000), "{reply:?}");
    ensure_alive(&mut secured).await
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_certificates_are_refused() -> Result<()> {
    let mut secured = Secured::start(None, &[]).await?;
    // As kubectl port-forward does, and probes of a port.
    drop(TcpStream::connect(secured.address).await?);
    let authority = &secured.authority;
    let strangers = [
        ("expired", authority.expired(READER)?),
        ("of another authority", Authority::new()?.client(READER)?),
        ("the aggregator's own", authority.aggregator()?),
        ("of no role", authority.client("spiffe://coroner/admin/me")?),
        ("of another domain", authority.client("spiffe://elsewhere/reader/siem")?),
    ];
    let mut codes = Vec::new();
    for (what, pair) in &strangers {
        codes.push((*what, ask(&mut secured.feed(Some(pair))?).await));
    }
    // A handshake that fails is no answer at all to a client.
    let failed = |code: Code| ![Code::Ok, Code::Unauthenticated, Code::PermissionDenied].contains(&code);
    ensure!(codes[..2].iter().all(|(_, code)| failed(*code)), "{codes:?}");
    ensure!(codes[2..].iter().all(|(_, code)| *code == Code::PermissionDenied), "{codes:?}");
    ensure!(failed(ask(&mut secured.feed(None)?).await), "without a certificate, where tokens are not reviewed");
    until_logged(&secured, "handshake").await?;
    ensure!(!secured.log().contains("eof"), "who only opens and closes asks for nothing: {}", secured.log());
    ensure_alive(&mut secured).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_revoked_by_writing_a_list() -> Result<()> {
    let mut secured = Secured::start(None, &[]).await?;
    let stolen = secured.authority.client_numbered(READER, 42)?;
    ensure!(ask(&mut secured.feed(Some(&stolen))?).await == Code::Ok, "it is not revoked yet");
    fs::write(secured.directory().join("clients.crl"), secured.authority.revocations(&[42])?)?;
    until("it is revoked", async || Ok((ask(&mut secured.feed(Some(&stolen))?).await != Code::Ok).then_some(())))
        .await?;
    until_logged(&secured, "handshake").await?;
    ensure_alive(&mut secured).await
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_renewed_at_both_ends_without_a_restart() -> Result<()> {
    let mut secured = Secured::start(None, &[]).await?;
    let directory = secured.directory();
    // The agent's certificate has expired when it starts.
    write(&directory, "agent", &secured.authority.expired(NODE)?)?;
    let file = |name: &str| directory.join(name).display().to_string();
    let flags = [("--tls-cert", file("agent.crt")), ("--tls-key", file("agent.key"))];
    let flags: Vec<&str> = flags.iter().flat_map(|(flag, path)| [*flag, path.as_str()]).collect();
    let agent = secured.start_agent("n1", &flags)?;
    until("the agent is refused", async || {
        Ok(secured.agent_log(agent).contains("does not take records").then_some(()))
    })
    .await?;
    write(&directory, "agent", &secured.authority.client(NODE)?)?;
    until("the agent comes with its new certificate", async || {
        Ok(secured.agent_log(agent).contains("The aggregator takes records").then_some(()))
    })
    .await?;

    // A new authority, for both: who trusts the old one only is out, who trusts the new one is in.
    let (old, new) = (secured.authority.client(READER)?, Authority::new()?);
    write(&directory, "aggregator", &new.aggregator()?)?;
    fs::write(directory.join("ca.crt"), &new.pem)?;
    fs::write(directory.join("clients.crl"), new.revocations(&[])?)?;
    let reader = new.client(READER)?;
    until("the aggregator shows its new certificate, and takes those of the new authority", async || {
        let mut feed = DiagnosisServiceClient::new(secured.channel_by(&new, Some(&reader))?);
        Ok((ask(&mut feed).await == Code::Ok).then_some(()))
    })
    .await?;
    ensure!(ask(&mut DiagnosisServiceClient::new(secured.channel_by(&new, Some(&old))?)).await != Code::Ok);
    ensure!(ask(&mut secured.feed(Some(&old))?).await != Code::Ok, "who trusts the old authority is not let down");

    // Files that cannot be used change nothing.
    fs::write(directory.join("aggregator.key"), "not a key")?;
    until("the broken key is logged", async || {
        let mut feed = DiagnosisServiceClient::new(secured.channel_by(&new, Some(&reader))?);
        ensure!(ask(&mut feed).await == Code::Ok, "{}", secured.log());
        Ok(secured.log().contains("the old ones stay").then_some(()))
    })
    .await?;
    secured.check()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_agent_with_a_forged_name_holds_its_records() -> Result<()> {
    let api = ApiServer::start().await?;
    api.issue("token-of-n1", AGENT, "coroner", Some("n1"));
    let mut secured = Secured::start(Some(&api), &[]).await?;
    let token = secured.directory().join("token");
    fs::write(&token, "token-of-n1\n")?;
    let flags = ["--token-file", &token.display().to_string()];
    let (forged, honest) = (secured.start_agent("n2", &flags)?, secured.start_agent("n1", &flags)?);
    until("the honest agent is served, the other is refused", async || {
        let is_received = secured.agent_log(honest).contains("The aggregator takes records");
        Ok((is_received && secured.agent_log(forged).contains("refuses this agent")).then_some(()))
    })
    .await?;
    ensure!(secured.agent_log(forged).contains("PermissionDenied"), "{}", secured.agent_log(forged));
    let reader = secured.authority.client(READER)?;
    let status = secured.feed(Some(&reader))?.get_status(GetStatusRequest {}).await?.into_inner();
    let nodes: Vec<&str> = status.nodes.iter().map(|node| node.node.as_str()).collect();
    ensure!(nodes == ["n1"], "{nodes:?}");
    for log in [secured.agent_log(forged), secured.agent_log(honest), secured.log()] {
        ensure!(!log.contains("token-of-n1"), "a token is logged:\n{log}");
    }
    Ok(())
}

/// What a reader gets to see.
#[derive(Debug, Default, PartialEq)]
struct Seen {
    uids: BTreeSet<String>,
    /// Namespaces of the pods that took part.
    related: BTreeSet<String>,
    gaps: Vec<Gap>,
}

/// The namespaces of the pods that took part.
fn related(diagnosis: &Diagnosis) -> BTreeSet<String> {
    diagnosis.related.iter().map(|related| related.namespace.clone()).collect()
}

async fn read(feed: &mut DiagnosisServiceClient<Channel>, token: Option<&str>) -> Result<Seen> {
    let mut request = Request::new(WatchDiagnosesRequest {
        start: Some(Start::FromOldest(true)),
        stop_at_end: true,
        ..WatchDiagnosesRequest::default()
    });
    if let Some(token) = token {
        request = with_token(request.into_inner(), token)?;
    }
    let mut frames = feed.watch_diagnoses(request).await?.into_inner();
    let mut seen = Seen::default();
    while let Some(response) = frames.message().await? {
        match response.frame.context("a frame without content")? {
            Frame::Batch(batch) => {
                for diagnosis in batch.diagnoses {
                    seen.related.extend(related(&diagnosis));
                    seen.uids.insert(diagnosis.uid);
                }
            }
            Frame::Gap(gap) => seen.gaps.push(gap),
            Frame::Bookmark(_) => {}
        }
    }
    Ok(seen)
}

async fn list(feed: &mut DiagnosisServiceClient<Channel>, token: &str, namespaces: &[&str]) -> Result<Seen> {
    let mut request = ListDiagnosesRequest { page_size: 1, ..ListDiagnosesRequest::default() };
    let namespaces = namespaces.iter().map(|name| (*name).to_owned()).collect();
    request.filter.get_or_insert_default().namespaces = namespaces;
    let mut seen = Seen::default();
    loop {
        let page = feed.list_diagnoses(with_token(request.clone(), token)?).await?.into_inner();
        for diagnosis in page.diagnoses {
            seen.related.extend(related(&diagnosis));
            seen.uids.insert(diagnosis.uid);
        }
        if page.next_page_token.is_empty() {
            return Ok(seen);
        }
        request.page_token = page.next_page_token;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_sees_the_namespaces_whose_pods_it_may_get() -> Result<()> {
    let api = ApiServer::start().await?;
    for user in ["jane", "admin", "operator", "stranger"] {
        api.issue(&format!("token-of-{user}"), user, "coroner", None);
    }
    api.allow("jane", "pods", "shop");
    api.allow("operator", "nodes", "");
    api.allow("admin", "pods", "");
    api.allow("admin", "nodes", "");
    let mut secured = Secured::start(Some(&api), &[]).await?;
    let gap = Gap {
        node: "n1".into(),
        source: "kernel_log".into(),
        reason: GapReason::Overrun.into(),
        text: "text about bank/vault".into(),
        ..Gap::default()
    };
    let namespaces = ["shop", "bank", "shop", "", "bank"];
    let reply = (1..).zip(namespaces).map(|(n, namespace)| with_related(diagnosis(n, namespace)));
    let records = reply.chain([Record::Gap(gap.clone())]).collect();
    let node = secured.authority.client(NODE)?;
    let answer = secured.ingest(Some(&node))?.push_diagnoses(push("n1", records)).await?.into_inner();
    ensure!(answer.rejected.is_empty(), "{answer:?}");

    let uids = |numbers: &[u64]| -> BTreeSet<String> { numbers.iter().map(|n| uid(*n)).collect() };
    let mut feed = secured.feed(None)?;
    for (user, visible, related_to) in [
        ("jane", vec![1, 3], vec!["shop"]),
        ("operator", vec![4], vec![]),
        ("admin", vec![1, 2, 3, 4, 5], vec!["bank", "shop"]),
        ("stranger", vec![], vec![]),
    ] {
        let related_to: BTreeSet<String> = related_to.into_iter().map(str::to_owned).collect();
        let token = format!("token-of-{user}");
        let seen = read(&mut feed, Some(&token)).await?;
        ensure!(seen.related == related_to, "{user} watches {seen:?}");
        ensure!(seen.uids == uids(&visible), "{user} watches {seen:?}");
        // Every reader learns that something was lost; only those who see nodes get the text.
        let sees_nodes = visible.contains(&4);
        let text = if sees_nodes { gap.text.clone() } else { String::new() };
        ensure!(seen.gaps == [Gap { text, ..gap.clone() }], "{user}: {:?}", seen.gaps);
        let listed = list(&mut feed, &token, &[]).await?;
        ensure!(listed.uids == uids(&visible) && listed.related == related_to, "{user} lists {listed:?}");
        for n in 1..=5 {
            let answer = feed.get_diagnosis(with_token(GetDiagnosisRequest { uid: uid(n) }, &token)?).await;
            let diagnosis = answer.as_ref().ok().and_then(|answer| answer.get_ref().diagnosis.as_ref());
            ensure!(diagnosis.is_none_or(|got| related(got) == related_to), "{user} gets {diagnosis:?}");
            let wanted = if visible.contains(&n) { Code::Ok } else { Code::NotFound };
            ensure!(code(answer) == wanted, "{user} gets {n}");
        }
        let status = feed.get_status(with_token(GetStatusRequest {}, &token)?).await?.into_inner();
        ensure!(status.nodes.is_empty() != sees_nodes, "{user}: {status:?}");
    }
    ensure!(list(&mut feed, "token-of-jane", &["bank"]).await?.uids.is_empty(), "she asks for what is not hers");
    ensure!(list(&mut feed, "token-of-jane", &["bank", "shop"]).await?.uids == uids(&[1, 3]));

    // By certificate as the same user.
    let jane = secured.authority.client("spiffe://coroner/user/jane")?;
    ensure!(read(&mut secured.feed(Some(&jane))?, None).await?.uids == uids(&[1, 3]));
    ensure_alive(&mut secured).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_costs_few_questions_however_many_namespaces_there_are() -> Result<()> {
    let api = ApiServer::start().await?;
    api.issue("token-of-jane", "jane", "coroner", None);
    api.allow("jane", "pods", "shop");
    let secured = Secured::start(Some(&api), &[]).await?;
    let node = secured.authority.client(NODE)?;
    let mut ingest = secured.ingest(Some(&node))?;
    // Hers are the oldest, behind thousands of namespaces that a node has made up.
    let all = (0..12).flat_map(|batch| (1..=500).map(move |n| batch * 500 + n));
    let all: Vec<_> =
        all.map(|n| if n <= 3 { diagnosis(n, "shop") } else { diagnosis(n, &format!("made-up-{n}")) }).collect();
    for (batch, records) in all.chunks(500).enumerate() {
        let records = (batch as u64 * 500 + 1..).zip(records.to_vec());
        let records = records.map(|(sequence, record)| OutboxRecord { sequence, record: Some(record) }).collect();
        let answer = ingest.push_diagnoses(PushDiagnosesRequest { records, ..push("n1", vec![]) }).await?.into_inner();
        ensure!(answer.rejected.is_empty(), "{answer:?}");
    }
    let questions = || api.asked().into_iter().filter(|asked| asked.resource == "subjectaccessreviews").count();
    let mut feed = secured.feed(None)?;
    let (mut request, mut found) = (ListDiagnosesRequest::default(), BTreeSet::new());
    loop {
        let before = questions();
        let page = feed.list_diagnoses(with_token(request.clone(), "token-of-jane")?).await?.into_inner();
        ensure!(questions() - before <= 65, "{} questions for one list", questions() - before);
        found.extend(page.diagnoses.into_iter().map(|reply| reply.uid));
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    ensure!(found == BTreeSet::from([uid(1), uid(2), uid(3)]), "{found:?}");
    // Who names what she wants gets it at once.
    let before = questions();
    ensure!(list(&mut feed, "token-of-jane", &["shop"]).await?.uids == found);
    ensure!(questions() - before <= 5);
    ensure!(read(&mut feed, Some("token-of-jane")).await?.uids == found);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_api_server_is_away_new_callers_are_refused() -> Result<()> {
    let api = ApiServer::start().await?;
    api.issue("token-of-n1", AGENT, "coroner", Some("n1"));
    api.issue("token-of-n2", AGENT, "coroner", Some("n2"));
    let secured = Secured::start(Some(&api), &[]).await?;
    let mut ingest = secured.ingest(None)?;
    let mut push_as = async |token: &str, node: &str| -> Result<Status> {
        let answer = ingest.push_diagnoses(with_token(push(node, vec![]), token)?).await;
        Ok(answer.err().unwrap_or_else(|| Status::ok("")))
    };
    ensure!(push_as("token-of-n1", "n1").await?.code() == Code::Ok);
    api.forbid("tokenreviews", true);
    ensure!(push_as("token-of-n1", "n1").await?.code() == Code::Ok, "what was decided holds for a while");
    let status = push_as("token-of-n2", "n2").await?;
    ensure!(status.code() == Code::Unavailable && !status.details().is_empty(), "{status:?}");
    api.forbid("tokenreviews", false);
    ensure!(push_as("token-of-n2", "n2").await?.code() == Code::Ok, "what could not be asked is not remembered");
    let reviews = api.asked().into_iter().filter(|asked| asked.resource == "tokenreviews").count();
    ensure!(reviews == 3, "{reviews} reviews for 5 pushes");
    Ok(())
}

/// Sends this in plain text, and waits until the connection is closed. Gives what it received.
async fn send(address: SocketAddr, bytes: &[u8]) -> Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address).await?;
    // It may be closed before everything was sent.
    let _refused = stream.write_all(bytes).await;
    let mut reply = Vec::new();
    let _reset = tokio::time::timeout(coroner_tests::PATIENCE, stream.read_to_end(&mut reply))
        .await
        .context("it is never closed")?;
    Ok(reply)
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_without_tls_are_closed() -> Result<()> {
    let mut secured = Secured::start(None, &[]).await?;
    let noise = vec![0x5a; 1 << 20];
    for bytes in
        [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice(), b"GET / HTTP/1.1\r\n\r\n", &[0x16, 3, 1, 0xff, 0xff], &noise]
    {
        let reply = send(secured.address, bytes).await?;
        ensure!(reply.len() < 64, "a TLS alert at most: {reply:?}");
    }
    let plain = Channel::from_shared(format!("http://{}", secured.address))?.connect_lazy();
    ensure!(ask(&mut DiagnosisServiceClient::new(plain)).await != Code::Ok);
    ensure_alive(&mut secured).await
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_and_headers_that_are_too_large_are_refused() -> Result<()> {
    let mut secured = Secured::start(None, &[]).await?;
    let pair = secured.authority.client(NODE)?;
    let Record::Diagnosis(mut large) = diagnosis(1, "shop") else { unreachable!("it is one") };
    large.summary = "x".repeat(9 << 20);
    let mut ingest = IngestServiceClient::new(secured.channel(Some(&pair))?).max_encoding_message_size(64 << 20);
    let answer = ingest.push_diagnoses(push("n1", vec![Record::Diagnosis(large)])).await;
    ensure!(code(answer) == Code::InvalidArgument, "9 MiB");
    ensure!(code(ingest.push_diagnoses(push("n1", vec![])).await) == Code::Ok, "the connection is no worse for it");

    let reader = secured.authority.client(READER)?;
    let mut feed = secured.feed(Some(&reader))?;
    let answer = feed.get_status(with_token(GetStatusRequest {}, &"x".repeat(60_000))?).await;
    ensure!(code(answer) != Code::Ok, "60 kB of headers");
    ensure_alive(&mut secured).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_idle_connections_block_no_other_and_are_closed() -> Result<()> {
    let mut secured = Secured::start(None, &[]).await?;
    let mut idle = Vec::new();
    for n in 0..1000 {
        let mut stream = TcpStream::connect(secured.address).await?;
        // Every other begins a handshake, and goes on so slowly that it never comes to an end.
        if n % 2 == 0 {
            stream.write_all(&[0x16, 3, 1, 2, 0]).await?;
        }
        idle.push(stream);
    }
    ensure_alive(&mut secured).await?;
    let pair: Pair = secured.authority.client(NODE)?;
    ensure!(code(secured.ingest(Some(&pair))?.push_diagnoses(push("n1", vec![])).await) == Code::Ok);
    for mut stream in idle {
        // Reset or closed: it is over.
        let over = tokio::time::timeout(coroner_tests::PATIENCE, stream.read_to_end(&mut Vec::new())).await;
        drop(over.context("a slow handshake goes on for ever")?);
    }
    ensure_alive(&mut secured).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_without_a_request_after_the_handshake_is_closed() -> Result<()> {
    let api = ApiServer::start().await?;
    let mut secured = Secured::start(Some(&api), &[]).await?;
    let stream = secured.handshake(None).await?;
    let (mut silent, mut half) = (stream, secured.handshake(None).await?);
    // A request whose headers never end.
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend([0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0, 1, 0x82]);
    half.write_all(&bytes).await?;
    for stream in [&mut silent, &mut half] {
        let over = tokio::time::timeout(coroner_tests::PATIENCE, stream.read_to_end(&mut Vec::new())).await;
        drop(over.context("it may stay for ever")?);
    }
    until_logged(&secured, "silent").await?;
    ensure_alive(&mut secured).await
}

#[tokio::test(flavor = "multi_thread")]
async fn one_reader_cannot_take_all_streams() -> Result<()> {
    let mut secured = Secured::start(None, &[]).await?;
    let greedy = secured.authority.client("spiffe://coroner/reader/greedy")?;
    let mut feed = secured.feed(Some(&greedy))?;
    let (mut streams, mut refused) = (Vec::new(), None);
    for _ in 0..100 {
        match feed.watch_diagnoses(WatchDiagnosesRequest::default()).await {
            Ok(stream) => streams.push(stream),
            Err(status) => {
                refused = Some(status);
                break;
            }
        }
    }
    let refused = refused.context("a hundred streams of one reader")?;
    ensure!(refused.code() == Code::ResourceExhausted && !refused.details().is_empty(), "{refused:?}");
    let reader = secured.authority.client(READER)?;
    ensure!(secured.feed(Some(&reader))?.watch_diagnoses(WatchDiagnosesRequest::default()).await.is_ok());
    ensure_alive(&mut secured).await
}
