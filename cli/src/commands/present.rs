//! Diagnoses in the format that was asked for, where a command has all of them before it shows the first.

use coroner_proto::v1::Diagnosis;
use jiff::Timestamp;

use crate::{
    args::Format,
    data,
    exit::Failure,
    explain,
    out::Out,
    page::Page,
    rows::{Kind, Rows},
};

/// Writes the diagnoses as rows or data; by default as what `pages` makes of them.
///
/// # Errors
/// The reader is gone, or a diagnosis cannot be shown as text.
pub(crate) fn present(
    diagnoses: &[Diagnosis],
    out: &mut Out,
    pages: impl FnOnce(&mut Page, &[Diagnosis], Timestamp),
) -> Result<(), Failure> {
    let now = Timestamp::now();
    match out.format {
        None => {
            let mut page = out.page();
            pages(&mut page, diagnoses, now);
            out.write(&page.into_text())?;
        }
        Some(Format::Table | Format::Wide) => {
            let mut rows = Rows::new(Kind::Each, out);
            diagnoses.iter().for_each(|diagnosis| rows.push(diagnosis, out, now));
            let text = rows.render(out);
            out.write(&text)?;
        }
        Some(Format::Name | Format::Json | Format::Yaml) => {
            for diagnosis in diagnoses {
                out.write(&data::diagnosis(out.format, diagnosis)?.unwrap_or_default())?;
            }
        }
    }
    Ok(())
}

/// The full explanation of each, one under the other.
pub(crate) fn in_full(page: &mut Page, diagnoses: &[Diagnosis], now: Timestamp) {
    for (index, diagnosis) in diagnoses.iter().enumerate() {
        if index > 0 {
            page.blank();
        }
        explain::explain(page, diagnosis, diagnosis.into(), now);
    }
}
