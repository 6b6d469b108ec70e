//! What is known of a diagnosis beside its explanation.

use coroner_diagnosis::{localized, messages::Message, signal::signal_name};
use coroner_proto::v1::{Diagnosis, GetDiagnosisResponse};
use maud::{Markup, html};

use super::{messages::texts, parts, view::View, words};

/// Causes that remain possible, and what would decide.
pub(super) fn candidates(diagnosis: &Diagnosis, view: &View) -> Markup {
    html! {
        @if !diagnosis.candidates.is_empty() {
            section {
                h2 { (view.text(&texts::candidates())) }
                ul {
                    @for candidate in &diagnosis.candidates {
                        li {
                            code { (words::cause(candidate.cause)) } " "
                            (localized::reason(candidate, view.language))
                        }
                    }
                }
            }
        }
    }
}

/// The last lines of the log.
pub(super) fn last_lines(diagnosis: &Diagnosis, view: &View) -> Markup {
    html! {
        @if !diagnosis.last_lines.is_empty() {
            section {
                h2 { (view.text(&texts::last_lines())) }
                pre.log tabindex="0" { @for line in &diagnosis.last_lines { (line) "\n" } }
            }
        }
    }
}

/// All facts that have a name, as a table.
pub(super) fn table(diagnosis: &Diagnosis, view: &View) -> Markup {
    let facts = facts(diagnosis, view);
    html! {
        section.facts {
            h2 { (view.text(&texts::details())) }
            dl { @for (name, value) in &facts { div { dt { (view.text(name)) } dd { (value) } } } }
        }
    }
}

/// Name and value of each fact that is known.
pub(super) fn facts(diagnosis: &Diagnosis, view: &View) -> Vec<(Message, String)> {
    let mut facts = vec![(texts::cause(), words::cause(diagnosis.cause))];
    let mut add = |name: Message, value: String| {
        if !value.is_empty() {
            facts.push((name, value));
        }
    };
    let comma = view.language.between_names();
    let contributing = diagnosis.contributing.iter().map(|code| words::cause(*code));
    add(texts::contributing(), contributing.collect::<Vec<_>>().join(comma));
    if let Some(exit) = &diagnosis.exit {
        if diagnosis.fatal {
            let fabricated = if exit.fabricated { view.text(&texts::fabricated()) } else { String::new() };
            add(texts::exit_code(), format!("{} {fabricated}", exit.code).trim_end().to_owned());
        }
        add(texts::signal(), if exit.signal == 0 { String::new() } else { signal_name(exit.signal) });
        add(texts::reported_reason(), exit.reported_reason.clone());
    }
    if let Some(process) = &diagnosis.process {
        let pid = if process.pid == 0 { String::new() } else { format!(" ({})", process.pid) };
        add(texts::process(), format!("{}{pid}", process.name));
    }
    if let Some(container) = &diagnosis.container {
        add(texts::image(), container.image.clone());
        add(texts::container_id(), container.id.clone());
        add(texts::started(), words::time(container.start_time.as_ref()).map(words::moment).unwrap_or_default());
        add(texts::restarts(), if container.attempt == 0 { String::new() } else { container.attempt.to_string() });
    }
    if let Some(memory) = &diagnosis.memory {
        let bytes = |bytes: Option<u64>| bytes.map(|bytes| view.text(&texts::bytes(bytes))).unwrap_or_default();
        add(texts::memory_limit(), bytes(memory.limit_bytes));
        add(texts::memory_high(), bytes(memory.container_high_bytes));
        add(texts::memory_request(), bytes(memory.container_request_bytes));
        add(texts::memory_usage(), bytes(memory.usage_bytes));
        add(texts::memory_peak(), bytes(memory.peak_bytes));
        add(texts::memory_anon(), bytes(memory.anon_bytes));
        add(texts::memory_file(), bytes(memory.file_bytes));
        add(texts::node_available(), bytes(memory.node_available_bytes));
    }
    if let Some(node) = &diagnosis.node {
        add(texts::kernel(), node.kernel_release.clone());
    }
    add(texts::missing(), diagnosis.missing_sources.join(comma));
    let withheld = diagnosis.redactions.iter().map(|redaction| format!("{} ({})", redaction.field, redaction.rule));
    add(texts::withheld(), withheld.collect::<Vec<_>>().join(comma));
    add(texts::uid(), format!("{} · {}", diagnosis.uid, view.text(&texts::revision(diagnosis.revision))));
    facts
}

/// Earlier revisions: what each stated, and when.
pub(super) fn revisions(answer: &GetDiagnosisResponse, view: &View) -> Markup {
    html! {
        @if !answer.earlier_revisions.is_empty() {
            section.revisions {
                details {
                    summary { (view.text(&texts::revisions(answer.earlier_revisions.len()))) }
                    ol reversed {
                        @for earlier in &answer.earlier_revisions {
                            li value=(earlier.revision) {
                                (words::summary(earlier, view.language)) " "
                                span.sure { (view.text(&words::confidence(earlier))) } " "
                                code { (words::cause(earlier.cause)) } " "
                                @if let Some(time) = words::time(earlier.observe_time.as_ref()) {
                                    (parts::moment(time))
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
