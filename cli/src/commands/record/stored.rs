//! What the aggregator stored of a pod, workload or node: its diagnoses with all revisions and their evidence, and the
//! state of the nodes' sources. Of what was observed nothing else is stored, so none of it can be diagnosed again.

use coroner_diagnosis::recording::{FORMAT, RecordedNode, Recording, redact};
use coroner_proto::v1::{Diagnosis, GetStatusRequest};
use jiff::Timestamp;
use prost::Name;

use super::{Target, name};
use crate::{
    args::{AggregatorArgs, RecordArgs, WhyArgs},
    client,
    commands::{get, why},
    data,
    exit::{Failure, Outcome},
    messages::command,
    out::Out,
};

/// Diagnoses of which all revisions are asked for, the newest.
const MOST: usize = 200;

pub(crate) async fn run(
    subject: &str,
    args: &RecordArgs,
    aggregator: &AggregatorArgs,
    out: &Out,
) -> Result<Outcome, Failure> {
    let mut client = client::connect(aggregator).await?;
    let asked = WhyArgs {
        name: None,
        subject: subject.to_owned(),
        namespace: args.namespace.clone(),
        all_namespaces: false,
        container: None,
    };
    let found = why::all_of(&asked, &mut client, aggregator, out).await?;
    if found.is_empty() {
        out.note(&command::none_of(subject));
        return Ok(Outcome::Nothing);
    }
    let status = client.get_status(client::request(GetStatusRequest {})).await;
    let mut status = status.map_err(|status| client::refused(aggregator, &status))?.into_inner();
    let nodes: Vec<_> = found.iter().filter_map(|of| of.node.as_ref()).map(|node| node.name.clone()).collect();
    status.nodes.retain(|node| nodes.contains(&node.node) || node.node.starts_with('_'));

    let now = Timestamp::now();
    let (target, mut packer) = Target::begin(args, name(subject, now), now)?;
    let mut diagnoses = String::new();
    for diagnosis in found.iter().take(MOST) {
        // It may have been removed in the meantime.
        let Some(answer) = get::find(&diagnosis.uid, &mut client, aggregator).await? else { continue };
        for revision in answer.diagnosis.iter().chain(&answer.earlier_revisions) {
            diagnoses += &line(revision)?;
        }
    }
    packer.file("diagnoses.ndjson", diagnoses.as_bytes())?;
    packer.file("status.json", line(&status)?.as_bytes())?;
    let case = Recording {
        format: FORMAT,
        coroner: env!("CARGO_PKG_VERSION").to_owned(),
        full: found.len() > MOST,
        start: found.iter().filter_map(time).min().unwrap_or(now).min(now),
        end: now,
        boot_offset_ns: 0,
        namespace: args.namespace.clone().unwrap_or_default(),
        node: RecordedNode::default(),
    };
    let case = serde_json::to_value(case).map_err(|error| data::unsayable(&error))?;
    target.finish(packer, &format!("{case}\n"), out)?;
    Ok(if found.len() > MOST { Outcome::Partial } else { Outcome::Answered })
}

/// A line of proto3 JSON, without what looks like a secret. Agents have removed those; records of other versions may
/// contain some.
fn line<M: prost::Message + Name>(message: &M) -> Result<String, Failure> {
    let mut value = coroner_proto::json::to_value(message).map_err(|error| data::unsayable(&error))?;
    redact(&mut value);
    Ok(format!("{value}\n"))
}

fn time(diagnosis: &Diagnosis) -> Option<Timestamp> {
    let time = diagnosis.event_time.as_ref()?;
    Timestamp::new(time.seconds, time.nanos).ok()
}
