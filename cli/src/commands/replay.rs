//! `coroner replay`: the verdicts that a recorded case leads to, by this version, and how they come about.

use std::{error::Error, path::Path};

use coroner_diagnosis::{
    explanation::{Step, of_diagnosis, withheld},
    messages::{CATALOGUE, Language, Message},
    recording::Recording,
    replay::{Replayed, replay, replay_explained, replay_with_guest},
};
use coroner_proto::v1::{Diagnosis, Node};
use jiff::Timestamp;
use serde_json::json;

use super::present::{in_full, present};
use crate::{
    args::{Format, ReplayArgs},
    case_dir::{CaseDir, Unusable, fault, shown},
    data,
    exit::{Failure, Outcome},
    explain,
    messages::{case as texts_of_case, command, notes, page as texts, text},
    out::Out,
    page::{Look, Page, span},
};

/// What the aggregator had stored, in a recording of that.
const STORED: &str = "diagnoses.ndjson";

pub(crate) fn run(args: &ReplayArgs, out: &mut Out) -> Result<Outcome, Failure> {
    let unreadable = |error: Unusable| Failure::unreadable(error.into_message());
    let case = CaseDir::read(&args.case).map_err(unreadable)?;
    let recording =
        Recording::new(&case.case_json).map_err(|error| unreadable(Unusable::of_case(&args.case, &error)))?;
    if recording.full {
        out.note(&notes::replay_was_full());
    }
    if let Some(stored) = stored(&case, &args.case).map_err(unreadable)? {
        out.note(&notes::replay_of_stored());
        present(&stored, out, in_full)?;
        return Ok(Outcome::Answered);
    }
    let (mut unusable, mut unusable_of_guest) = (None, None);
    let observations =
        recording.stream(case.files()).map_while(|read| read.map_err(|error| unusable = Some(error)).ok());
    let guest = recording.guest_stream(case.files());
    let guest = guest.map(|guest| guest.map_while(|read| read.map_err(|error| unusable_of_guest = Some(error)).ok()));
    let (node, booted, end) = (Node::from(&recording.node), recording.booted(), recording.end);
    let replayed = match (args.explain, guest) {
        (true, guest) => replay_explained(node, observations, booted, guest, end),
        (false, Some(guest)) => {
            let diagnoses = replay_with_guest(node, observations, booted, guest, end);
            Replayed { diagnoses, steps: vec![] }
        }
        (false, None) => Replayed { diagnoses: replay(node, observations, end), steps: vec![] },
    };
    if let Some(error) = unusable.or(unusable_of_guest) {
        return Err(unreadable(Unusable::of_line(&args.case, &error)));
    }
    if args.explain {
        return explained(&replayed, out);
    }
    if replayed.diagnoses.is_empty() {
        out.note(&command::nothing_to_diagnose());
        return Ok(Outcome::Answered);
    }
    present(&replayed.diagnoses, out, in_full)?;
    Ok(Outcome::Answered)
}

/// The last revisions that an aggregator had stored; `None` if the case holds observations.
fn stored(case: &CaseDir, path: &Path) -> Result<Option<Vec<Diagnosis>>, Unusable> {
    let Some(lines) = case.file(STORED) else { return Ok(None) };
    let mut diagnoses: Vec<Diagnosis> = Vec::new();
    for (index, line) in lines.enumerate() {
        let failed = |fault: Message| Unusable::new(texts_of_case::case_line(shown(path), STORED, index + 1, fault));
        let line = line.map_err(|error| failed(fault(&error)))?;
        let of_json = |error: &dyn Error| failed(texts_of_case::line_not_json(error.to_string()));
        let value = serde_json::from_str(&line).map_err(|error| of_json(&error))?;
        let diagnosis: Diagnosis = coroner_proto::json::from_value(value).map_err(|error| of_json(&error))?;
        // Of each, the newest revision comes first.
        if diagnoses.iter().all(|known| known.uid != diagnosis.uid) {
            diagnoses.push(diagnosis);
        }
    }
    Ok(Some(diagnoses))
}

/// Each diagnosis with the steps that led to it, then what was held and never reported.
fn explained(replayed: &Replayed, out: &mut Out) -> Result<Outcome, Failure> {
    let Replayed { diagnoses, steps } = replayed;
    let language = out.reader.language;
    match out.format {
        Some(Format::Name | Format::Json | Format::Yaml) => {
            for diagnosis in diagnoses {
                let mut value = coroner_proto::json::to_value(diagnosis).map_err(|error| data::unsayable(&error))?;
                value["explanation"] = json!(lines(&of_diagnosis(steps, diagnosis), language));
                out.write(&data::render_value(out.format, value)?)?;
            }
        }
        Some(Format::Table | Format::Wide) | None => {
            let mut page = out.page();
            for (index, diagnosis) in diagnoses.iter().enumerate() {
                if index > 0 {
                    page.blank();
                }
                explain::explain(&mut page, diagnosis, diagnosis.into(), Timestamp::now());
                let mut lines = lines(&of_diagnosis(steps, diagnosis), language);
                if lines.is_empty() {
                    lines.push(text(&texts::steps_elsewhere(), language));
                }
                section(&mut page, &texts::label_steps(), &lines);
            }
            let held = lines(&withheld(steps), language);
            if !held.is_empty() {
                page.blank();
                section(&mut page, &texts::label_held(), &held);
            }
            out.write(&page.into_text())?;
            if diagnoses.is_empty() {
                out.note(&command::nothing_to_diagnose());
            }
        }
    }
    Ok(Outcome::Answered)
}

fn section(page: &mut Page, label: &Message, lines: &[String]) {
    let label = text(label, page.language());
    page.paragraph(None, 2, &[span(Look::Strong, &label)]);
    for line in lines {
        let details = line.trim_start();
        page.paragraph(None, 4 + line.len() - details.len(), &[span(Look::Plain, details)]);
    }
}

/// The steps in words, a line each; what belongs to a step is indented below it.
fn lines(steps: &[&Step], language: Language) -> Vec<String> {
    let line = |(depth, message): (usize, Message)| {
        let text = CATALOGUE.render(&message, language).unwrap_or(message.id);
        format!("{}{text}", "  ".repeat(depth))
    };
    steps.iter().flat_map(|step| step.lines()).map(line).collect()
}
