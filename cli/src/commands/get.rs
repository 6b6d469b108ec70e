//! `coroner get`: one diagnosis.

use coroner_proto::v1::GetDiagnosisRequest;
use jiff::Timestamp;
use tonic::Code;

use super::answered_by;
use crate::{
    args::{AggregatorArgs, Format, GetArgs},
    client, data,
    exit::{Failure, Outcome},
    explain,
    out::Out,
    table::{self, Shape},
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
    let now = Timestamp::now();
    let shape = Shape { wide: out.format == Some(Format::Wide), growing: true };
    let mut rows = table::diagnoses(shape);
    let mut page = out.page();
    for (index, diagnosis) in revisions.iter().enumerate() {
        match out.format {
            None => {
                if index > 0 {
                    page.blank();
                }
                explain::explain(&mut page, diagnosis, now);
            }
            Some(Format::Table | Format::Wide) => rows.push(table::row(diagnosis, shape, now)),
            Some(Format::Json | Format::Yaml) => {
                out.write(&data::render(out.format, diagnosis)?.unwrap_or_default())?
            }
        }
    }
    match out.format {
        None => out.write(&page.into_text())?,
        Some(Format::Table | Format::Wide) => {
            let text = rows.render(out);
            out.write(&text)?;
        }
        Some(Format::Json | Format::Yaml) => {}
    }
    Ok(outcome)
}

fn nothing(args: &GetArgs, out: &Out) -> Outcome {
    out.tell(&format!("No diagnosis {} is recorded.", args.uid));
    Outcome::Nothing
}
