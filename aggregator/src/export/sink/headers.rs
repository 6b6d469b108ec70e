//! Files of headers.

use std::path::Path;

use coroner_diagnosis::messages::{Message, operation};

/// The headers in a file: lines `Name: value`; empty ones and those that begin with # are left out.
///
/// # Errors
/// What is wrong with the file, without what is in it.
pub(super) fn read(path: &Path) -> Result<Vec<(String, String)>, Message> {
    let shown = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| operation::export_file(&shown, error.to_string()))?;
    let lines = text.lines().map(str::trim).enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|(number, line)| {
            let (name, value) =
                line.split_once(':').ok_or_else(|| operation::export_line_not_a_header(&shown, number + 1))?;
            Ok((name.trim().to_owned(), value.trim().to_owned()))
        })
        .collect()
}
