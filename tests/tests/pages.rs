//! The texts of recorded cases, in both languages: pages to read in review, and rules that every text keeps.

use std::{collections::BTreeSet, env, fs, path::PathBuf};

use anyhow::{Context, Result, ensure};
use coroner_cli::pages;
use coroner_diagnosis::{
    explanation::{Step, of_diagnosis, withheld},
    localized,
    messages::{CATALOGUE, Language, text},
    observation::Observation,
    replay::{Replayed, replay_explained},
};
use coroner_proto::v1::{Diagnosis, Message, Node, Subject, SubjectKind};
use coroner_tests::case::Case;

/// Cases whose pages are kept in `tests/pages/`, as `NAME.en.txt` and `NAME.zh.txt`.
const KEPT: [&str; 32] = [
    "command-not-found",
    "configmap-env",
    "crash-abort-pid1",
    "crash-segv",
    "deadline",
    "delete-grace-exceeded",
    "evict-api",
    "evict-emptydir-limit",
    "evict-memory",
    "evict-nodefs",
    "evict-taint",
    "exit-0",
    "exit-1",
    "exit-137-self",
    "false-oomkilled-143",
    "image-denied",
    "image-not-found",
    "ingress-service",
    "kill-external",
    "liveness-throttled",
    "oom-child",
    "oom-limit",
    "oom-pod-level",
    "preempted",
    "quota",
    "readiness-500",
    "rollout",
    "sched-resources",
    "service-selector",
    "shim-killed",
    "stuck-finalizer",
    "v2-oom-node",
];
/// Longest headline, in characters.
const HEADLINE: usize = 80;
/// Values that mean that something is not known.
const EMPTY: [&str; 5] = [" 0 B", " 0 s ", " 0 ms", " 0 秒", " 0 毫秒"];

const LANGUAGES: [(Language, &str); 2] = [(Language::English, "en"), (Language::Chinese, "zh")];

/// The last revision of each diagnosis of a case's own namespace.
fn diagnoses(case: &Case) -> Result<Vec<Diagnosis>> {
    let mut diagnoses = case.diagnoses(case.observations()?);
    diagnoses.retain(|d| d.subject.as_ref().is_some_and(|subject| subject.namespace == case.recording.namespace));
    Ok(diagnoses)
}

#[test]
fn the_pages_of_thirty_cases_are_as_they_were_reviewed() -> Result<()> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("pages");
    let bless = env::var_os("CORONER_BLESS").is_some();
    let mut differing = Vec::new();
    for case in Case::all()?.iter().filter(|case| KEPT.contains(&case.name.as_str())) {
        let diagnoses = diagnoses(case)?;
        for (language, tag) in LANGUAGES {
            let path = folder.join(format!("{}.{tag}.txt", case.name));
            let text = pages(&diagnoses, language, case.recording.end);
            if bless {
                fs::write(&path, &text).with_context(|| path.display().to_string())?;
            } else if fs::read_to_string(&path).unwrap_or_default() != text {
                differing.push(format!("{} should be\n{text}", path.display()));
            }
        }
    }
    ensure!(differing.is_empty(), "CORONER_BLESS=1 renews them.\n{}", differing.join("\n"));
    Ok(())
}

/// Cases of which it is kept how their verdicts came about, in `tests/pages/`, as `explain/NAME.en.txt`.
const EXPLAINED: [&str; 6] =
    ["crash-segv", "exit-137-self", "kill-external", "oom-child", "readiness-500", "status-unknown"];

#[test]
fn how_verdicts_came_about_is_as_it_was_reviewed() -> Result<()> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("pages/explain");
    let bless = env::var_os("CORONER_BLESS").is_some();
    let mut differing = Vec::new();
    for case in Case::all()?.iter().filter(|case| EXPLAINED.contains(&case.name.as_str())) {
        let node = Node::from(&case.recording.node);
        let plain = case.diagnoses(case.observations()?);
        let none: Option<Vec<Observation>> = None;
        let Replayed { mut diagnoses, steps } =
            replay_explained(node, case.observations()?, case.recording.booted(), none, case.recording.end);
        let is_of_case = |s: &Subject| s.namespace == case.recording.namespace || s.kind() == SubjectKind::Node;
        diagnoses.retain(|diagnosis| diagnosis.subject.as_ref().is_some_and(is_of_case));
        ensure!(diagnoses == plain, "{}: to explain changes the verdict", case.name);
        for (language, tag) in LANGUAGES {
            let line =
                |(depth, message): (usize, Message)| format!("{}{}\n", "  ".repeat(depth), text(&message, language));
            let explain = |steps: Vec<&Step>| steps.into_iter().flat_map(Step::lines).map(line).collect::<String>();
            let of = |d: &Diagnosis| format!("{}\n{}", d.cause().as_str_name(), explain(of_diagnosis(&steps, d)));
            let withheld = format!("withheld\n{}", explain(withheld(&steps)));
            let page = diagnoses.iter().map(of).chain([withheld]).collect::<Vec<_>>().join("\n");
            let path = folder.join(format!("{}.{tag}.txt", case.name));
            if bless {
                fs::create_dir_all(&folder)?;
                fs::write(&path, &page).with_context(|| path.display().to_string())?;
            } else if fs::read_to_string(&path).unwrap_or_default() != page {
                differing.push(format!("{} should be\n{page}", path.display()));
            }
        }
    }
    ensure!(differing.is_empty(), "CORONER_BLESS=1 renews them.\n{}", differing.join("\n"));
    Ok(())
}

/// All diagnoses of all cases, recorded and rebuilt.
fn all() -> Result<Vec<(String, Diagnosis)>> {
    let mut all = Vec::new();
    for case in Case::all()?.iter().chain(&Case::rebuilt()?) {
        all.extend(case.diagnoses(case.observations()?).into_iter().map(|d| (case.name.clone(), d)));
    }
    ensure!(all.len() > 300, "{} diagnoses", all.len());
    Ok(all)
}

#[test]
fn headlines_are_short_and_no_text_shows_an_empty_value() -> Result<()> {
    let mut complaints = BTreeSet::new();
    for (case, diagnosis) in all()? {
        for (language, tag) in LANGUAGES {
            let headline = localized::summary(&diagnosis, language);
            if headline.is_empty() || headline.chars().count() > HEADLINE {
                complaints.insert(format!("{case} ({tag}): {headline}"));
            }
            let evidence = diagnosis.evidence.iter().chain(&diagnosis.against).filter(|e| e.message.is_some());
            let evidence = evidence.map(|evidence| localized::evidence(evidence, language));
            for text in evidence.chain([headline, localized::explanation(&diagnosis, language)]) {
                if EMPTY.iter().any(|empty| text.contains(empty)) {
                    complaints.insert(format!("{case} ({tag}): {text}"));
                }
            }
        }
    }
    ensure!(complaints.is_empty(), "{complaints:#?}");
    Ok(())
}

#[test]
fn every_message_of_every_diagnosis_is_worded_in_both_languages() -> Result<()> {
    for (case, diagnosis) in all()? {
        let evidence = diagnosis.evidence.iter().chain(&diagnosis.against).filter_map(|e| e.message.as_ref());
        let reasons = diagnosis.candidates.iter().filter_map(|candidate| candidate.reason_message.as_ref());
        let messages: Vec<&Message> = diagnosis
            .summary_message
            .iter()
            .chain(&diagnosis.explanation_messages)
            .chain(&diagnosis.suggestion_messages)
            .chain(evidence)
            .chain(reasons)
            .collect();
        ensure!(!messages.is_empty(), "{case}: no message: {diagnosis:#?}");
        for message in messages {
            for (language, _) in LANGUAGES {
                ensure!(CATALOGUE.render(message, language).is_some(), "{case}: {language:?}: {message:?}");
            }
        }
        let english = |message: &Message| CATALOGUE.render(message, Language::English);
        ensure!(diagnosis.summary_message.as_ref().and_then(english) == Some(diagnosis.summary.clone()), "{case}");
    }
    Ok(())
}
