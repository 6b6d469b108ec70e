//! `coroner causes`: the catalogue of causes.

use coroner_proto::v1::Cause;

use crate::{
    args::CausesArgs,
    exit::{Failure, Outcome},
    out::Out,
};

pub(crate) fn run(_args: &CausesArgs, out: &mut Out) -> Result<Outcome, Failure> {
    for cause in (1..i32::from(u8::MAX)).filter_map(|code| Cause::try_from(code).ok()) {
        out.write(&format!("{}\n", crate::words::cause(cause.into())))?;
    }
    Ok(Outcome::Answered)
}
