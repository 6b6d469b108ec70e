//! `coroner get`: one diagnosis.

use coroner_proto::v1::{GetDiagnosisRequest, GetDiagnosisResponse};
use tonic::Code;

use super::{
    answered_by,
    present::{in_full, present},
};
use crate::{
    args::{AggregatorArgs, GetArgs},
    client::{self, Client},
    exit::{Failure, Outcome},
    messages::{command, notes},
    out::Out,
};

/// Characters that the beginning of a uid has at least.
const LEAST: usize = 8;

pub(crate) async fn run(args: &GetArgs, aggregator: &AggregatorArgs, out: &mut Out) -> Result<Outcome, Failure> {
    if !could_be_uid(&args.uid) {
        return Err(Failure::usage(notes::uid_form(&args.uid)));
    }
    let mut client = client::connect(aggregator).await?;
    let Some(answer) = find(&args.uid, &mut client, aggregator).await? else {
        out.note(&command::none_with_uid(&args.uid));
        return Ok(Outcome::Nothing);
    };
    let diagnoses: Vec<_> = answer.diagnosis.into_iter().chain(answer.earlier_revisions).collect();
    let shown = if args.revisions { &diagnoses } else { diagnoses.get(..1).unwrap_or(&diagnoses) };
    present(shown, out, in_full)?;
    Ok(shown.first().map_or(Outcome::Nothing, answered_by))
}

/// Whether this is a uid, or the beginning of one: hexadecimal digits with dashes at their places.
pub(crate) fn could_be_uid(text: &str) -> bool {
    let dashes = [8, 13, 18, 23];
    (LEAST..=36).contains(&text.len())
        && text.char_indices().all(|(at, c)| if dashes.contains(&at) { c == '-' } else { c.is_ascii_hexdigit() })
}

/// The diagnosis with this uid, or the only one whose uid begins so.
///
/// # Errors
/// The aggregator did not answer, or refused: several uids begin so.
pub(crate) async fn find(
    uid: &str,
    client: &mut Client,
    aggregator: &AggregatorArgs,
) -> Result<Option<GetDiagnosisResponse>, Failure> {
    match client.get_diagnosis(client::request(GetDiagnosisRequest { uid: uid.to_owned() })).await {
        Ok(answer) => Ok(Some(answer.into_inner()).filter(|answer| answer.diagnosis.is_some())),
        Err(status) if status.code() == Code::NotFound => Ok(None),
        // Its form was checked before.
        Err(status) if status.code() == Code::InvalidArgument => Err(Failure::usage(notes::uid_ambiguous(uid))),
        Err(status) => Err(client::refused(aggregator, &status)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uid_is_known_by_its_form() {
        for text in ["5b0c3a5e", "5b0c3a5e-6a", "5B0C3A5E-6a0f-5d2e-9e55-0a4f6c1d2e3f"] {
            assert!(could_be_uid(text), "{text}");
        }
        for text in ["5b0c3a5", "5b0c3a5e6a", "web-5d9c-x7k2", "5b0c3a5e-6a0f-5d2e-9e55-0a4f6c1d2e3f0", ""] {
            assert!(!could_be_uid(text), "{text}");
        }
    }
}
