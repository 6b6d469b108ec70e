//! `coroner get`: one diagnosis.

use coroner_proto::v1::GetDiagnosisRequest;
use tonic::Code;

use super::{
    answered_by,
    present::{in_full, present},
};
use crate::{
    args::{AggregatorArgs, GetArgs},
    client,
    exit::{Failure, Outcome},
    out::Out,
};

pub(crate) async fn run(args: &GetArgs, aggregator: &AggregatorArgs, out: &mut Out) -> Result<Outcome, Failure> {
    let mut client = client::connect(aggregator).await?;
    let answer = client.get_diagnosis(client::request(GetDiagnosisRequest { uid: args.uid.clone() })).await;
    let answer = match answer {
        Ok(answer) => answer.into_inner(),
        Err(status) if status.code() == Code::NotFound => return Ok(nothing(args, out)),
        Err(status) => return Err(client::refused(aggregator, &status)),
    };
    let Some(diagnosis) = answer.diagnosis else { return Ok(nothing(args, out)) };
    let outcome = answered_by(&diagnosis);
    let mut revisions = vec![diagnosis];
    if args.revisions {
        revisions.extend(answer.earlier_revisions);
    }
    present(&revisions, out, in_full)?;
    Ok(outcome)
}

fn nothing(args: &GetArgs, out: &Out) -> Outcome {
    out.tell(&format!("No diagnosis {} is recorded.", args.uid));
    Outcome::Nothing
}
