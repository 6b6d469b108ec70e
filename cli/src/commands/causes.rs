//! `coroner causes`: the catalogue of causes.

use coroner_diagnosis::{
    catalogue::{self, Place, Row},
    localized::message,
    messages::Language,
};
use coroner_proto::v1::Severity;
use serde_json::{Value, json};

use crate::{
    args::{CausesArgs, Format},
    data,
    exit::{Failure, Outcome},
    labels,
    messages::{command, page as texts, text},
    out::Out,
    page::{Look, Page, span},
    table::Table,
};

pub(crate) fn run(args: &CausesArgs, out: &mut Out) -> Result<Outcome, Failure> {
    let wanted = |row: &&Row| args.cause.is_none_or(|cause| cause == row.cause);
    let rows: Vec<&Row> = catalogue::rows().filter(wanted).collect();
    let text = match out.format {
        Some(Format::Json | Format::Yaml) => {
            let texts = rows.iter().map(|row| data::render_value(out.format, value(row, out.reader.language)));
            texts.collect::<Result<String, _>>()?
        }
        Some(Format::Table | Format::Wide) => table(&rows, out),
        Some(Format::Name) => rows.iter().map(|row| data::name(&code(row))).collect(),
        None => {
            let mut page = out.page();
            match rows.as_slice() {
                [row] => in_full(&mut page, row),
                rows => chapters(&mut page, rows),
            }
            page.into_text()
        }
    };
    out.write(&text)?;
    Ok(Outcome::Answered)
}

fn code(row: &Row) -> String {
    labels::cause(row.cause.into())
}

fn severity(row: &Row, language: Language) -> String {
    labels::severity(row.severity).map_or_else(String::new, |label| text(&label, language))
}

/// What to do about a cause, wherever it happens.
fn steps(row: &Row, language: Language) -> Vec<String> {
    (row.next)(&Place::ANYWHERE).iter().map(|step| message(step, language)).collect()
}

fn value(row: &Row, language: Language) -> Value {
    let next: Vec<_> = steps(row, language);
    json!({
        "cause": row.cause.as_str_name(),
        "chapter": message(&row.chapter.title(), language),
        "severity": row.severity.as_str_name(),
        "what": message(&(row.what)(), language),
        "next": next,
    })
}

fn table(rows: &[&Row], out: &Out) -> String {
    let mut table = Table::new(vec![command::column_cause(), command::column_severity(), command::column_what()]);
    for row in rows {
        table.push(vec![
            span(Look::Strong, &code(row)),
            span(labels::look(row.severity), &severity(row, out.reader.language)),
            span(Look::Plain, &message(&(row.what)(), out.reader.language)),
        ]);
    }
    table.render(out)
}

fn chapters(page: &mut Page, rows: &[&Row]) {
    let language = page.language();
    let indent = 4 + rows.iter().map(|row| code(row).len()).max().unwrap_or_default();
    let mut chapter = None;
    for row in rows {
        if chapter != Some(row.chapter) {
            if chapter.is_some() {
                page.blank();
            }
            page.paragraph(None, 0, &[span(Look::Strong, &message(&row.chapter.title(), language))]);
            chapter = Some(row.chapter);
        }
        page.paragraph(
            Some((2, span(labels::look(row.severity), &code(row)))),
            indent,
            &[span(Look::Plain, &message(&(row.what)(), language))],
        );
    }
}

fn in_full(page: &mut Page, row: &Row) {
    let language = page.language();
    let chapter = message(&row.chapter.title(), language).to_lowercase();
    let mut headline = vec![span(Look::Strong, &code(row)), span(Look::Faint, &format!("  {chapter}"))];
    if row.severity != Severity::Unspecified {
        headline.push(span(labels::look(row.severity), &format!("  {}", severity(row, language))));
    }
    page.paragraph(None, 0, &headline);
    page.paragraph(None, 2, &[span(Look::Plain, &message(&(row.what)(), language))]);
    let mut label = text(&texts::label_next(), language);
    for step in steps(row, language) {
        page.paragraph(Some((2, span(Look::Faint, &label))), 12, &[span(Look::Plain, &step)]);
        label.clear();
    }
}

#[cfg(test)]
mod tests {
    use coroner_proto::v1::Cause;

    use super::*;
    use crate::testing;

    #[test]
    fn every_cause_of_the_wire_is_explained() {
        for cause in (1..=i32::from(u8::MAX)).filter_map(|code| Cause::try_from(code).ok()) {
            let row = catalogue::find(cause).unwrap_or_else(|| panic!("{cause:?} is not in the catalogue"));
            let mut page = testing::out(120).page();
            in_full(&mut page, row);
            let text = page.into_text();
            assert!(text.starts_with(cause.as_str_name().trim_start_matches("CAUSE_")), "{text}");
            assert!(text.lines().count() > 1, "{text}");
        }
    }

    #[test]
    fn the_catalogue_stands_in_chapters() {
        let mut page = testing::out(120).page();
        chapters(&mut page, &catalogue::rows().collect::<Vec<_>>());
        let text = page.into_text();
        let headings: Vec<&str> = text.lines().filter(|line| !line.is_empty() && !line.starts_with(' ')).collect();
        assert_eq!(headings.first(), Some(&"Memory"), "{text}");
        assert_eq!(headings.len(), 8, "{text}");
    }
}
