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
    table::{self, Shape},
};

/// Writes the diagnoses as rows or data; by default as what `pages` makes of them.
///
/// # Errors
/// The reader is gone, or a diagnosis cannot be said as text.
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
        Some(format @ (Format::Table | Format::Wide)) => {
            let shape = Shape { wide: format == Format::Wide, growing: false };
            let mut rows = table::diagnoses(shape);
            diagnoses.iter().for_each(|diagnosis| rows.push(table::row(diagnosis, shape, now)));
            let text = rows.render(out);
            out.write(&text)?;
        }
        Some(Format::Json | Format::Yaml) => {
            for diagnosis in diagnoses {
                out.write(&data::render(out.format, diagnosis)?.unwrap_or_default())?;
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
        explain::explain(page, diagnosis, now);
    }
}
