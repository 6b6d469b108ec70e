//! One diagnosis: what happened, the evidence for it and against the obvious alternatives, what to do next, and what
//! else happened.

use axum::{
    Extension,
    extract::{Path, State},
    response::Response,
};
use coroner_diagnosis::{localized, messages::Message};
use coroner_proto::{
    json,
    v1::{Diagnosis, DiagnosisFilter, Evidence, GetDiagnosisRequest, GetDiagnosisResponse},
};
use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};
use tonic::Status;

use super::{
    Shared, Sources,
    answer::{self, Refused},
    chart, facts, find,
    layout::Chrome,
    messages::texts,
    parts, text,
    view::{Form, View},
    words,
};
use crate::auth::{Caller, Reader};

/// Diagnoses of each list beside it.
const BESIDE: usize = 8;

pub(super) async fn show(
    State(sources): State<Shared>,
    Extension(caller): Extension<Caller>,
    Path(uid): Path<String>,
    view: View,
) -> Result<Response, Refused> {
    let reader = caller.reader()?;
    let answer = sources.queries.get(GetDiagnosisRequest { uid }, &reader).await?;
    let Some(diagnosis) = &answer.diagnosis else { return Err(Status::not_found("there is no such diagnosis").into()) };
    match view.form {
        Form::Json => {
            let value = json::to_value(&answer);
            let value = value.map_err(|_| Status::internal("the diagnosis cannot be written as JSON"))?;
            Ok(answer::json_of(&value))
        }
        Form::Text => Ok(answer::text_of(text::of(diagnosis, &view))),
        Form::Html => {
            let others = Others::find(&sources, &reader, diagnosis).await?;
            let title = words::summary(diagnosis, view.language);
            let body = draw(&answer, diagnosis, &others, &view);
            Ok(answer::page(&view, &Chrome::titled(&title), &body))
        }
    }
}

/// What else happened.
#[derive(Debug, Default)]
struct Others {
    /// The same cause, of the same workload or subject.
    earlier: Vec<Diagnosis>,
    on_node: Vec<Diagnosis>,
    of_workload: Vec<Diagnosis>,
    at_that_time: Vec<Diagnosis>,
}

impl Others {
    async fn find(sources: &Sources, reader: &Reader, diagnosis: &Diagnosis) -> Result<Self, Status> {
        let Some(time) = words::event(diagnosis) else { return Ok(Self::default()) };
        let subject = diagnosis.subject.clone().unwrap_or_default();
        let namespaces = if subject.namespace.is_empty() { Vec::new() } else { vec![subject.namespace.clone()] };
        let of_it = match words::workload(diagnosis) {
            Some(workload) => DiagnosisFilter {
                namespaces,
                workloads: vec![format!("{}/{}", workload.kind, workload.name)],
                ..DiagnosisFilter::default()
            },
            None => DiagnosisFilter { namespaces, names: vec![subject.name.clone()], ..DiagnosisFilter::default() },
        };
        let same_cause = DiagnosisFilter { causes: vec![diagnosis.cause], ..of_it.clone() };
        let node = words::node(diagnosis);
        let on_node = DiagnosisFilter { nodes: vec![node.to_owned()], ..DiagnosisFilter::default() };
        let around = |before: SignedDuration, after: SignedDuration| {
            let start = time.checked_sub(before).unwrap_or(Timestamp::UNIX_EPOCH).max(Timestamp::UNIX_EPOCH);
            (start, Some(time.checked_add(after).unwrap_or(Timestamp::MAX)))
        };
        let minutes = SignedDuration::from_mins;
        let ask = async |filter, (start, end): (Timestamp, Option<Timestamp>)| {
            let found = find::rows(sources, reader, filter, (start, end), BESIDE + 1).await?;
            let mut others = found.diagnoses;
            others.retain(|other| other.uid != diagnosis.uid);
            others.truncate(BESIDE);
            Ok::<_, Status>(others)
        };
        let (earlier, of_workload, at_that_time) = futures::try_join!(
            ask(same_cause, around(SignedDuration::from_hours(30 * 24), minutes(0))),
            ask(of_it, around(minutes(60), minutes(60))),
            ask(DiagnosisFilter::default(), around(SignedDuration::from_secs(30), SignedDuration::from_secs(30))),
        )?;
        let on_node = if node.is_empty() { Vec::new() } else { ask(on_node, around(minutes(5), minutes(5))).await? };
        let of_workload = of_workload.into_iter().filter(|other| other.cause != diagnosis.cause).collect();
        Ok(Self { earlier, on_node, of_workload, at_that_time })
    }
}

/// How often it happened, to the container if it is about one.
fn times(diagnosis: &Diagnosis) -> Message {
    let is_of_container = diagnosis.subject.as_ref().is_some_and(|subject| !subject.container.is_empty());
    match diagnosis.occurrence_count {
        count if is_of_container => texts::times_in_container(count),
        count => texts::times(count),
    }
}

fn draw(answer: &GetDiagnosisResponse, diagnosis: &Diagnosis, others: &Others, view: &View) -> Markup {
    let label = |message| view.text(&message);
    let event = words::event(diagnosis);
    let explanation = localized::explanation(diagnosis, view.language);
    html! {
        article.death {
            header {
                (parts::place(diagnosis, view))
                h1 { (words::summary(diagnosis, view.language)) }
                p.verdict {
                    (parts::badge(diagnosis.severity(), view))
                    span.sure { (label(words::confidence(diagnosis))) }
                    @if let Some(time) = event {
                        span { (parts::moment(time)) " UTC · " (parts::age(time, view)) }
                    }
                    @if diagnosis.occurrence_count > 1 {
                        span { (label(times(diagnosis))) }
                    }
                    @if let Some(time) = words::time(diagnosis.resolve_time.as_ref()) {
                        span.resolved { (label(texts::resolved(words::moment(time)))) }
                    }
                }
                @if !explanation.is_empty() { p.explanation { (explanation) } }
            }
            (chart::memory(diagnosis, view))
            (steps(diagnosis, view))
            div.columns {
                (statements(&label(texts::evidence()), "for", &diagnosis.evidence, event, view))
                (statements(&label(texts::ruled_out()), "against", &diagnosis.against, event, view))
            }
            (related(diagnosis, event, view))
            (facts::candidates(diagnosis, view))
            (facts::last_lines(diagnosis, view))
            (facts::table(diagnosis, view))
            (facts::revisions(answer, view))
            div.columns {
                (beside(&label(texts::earlier()), &others.earlier, view))
                (beside(&label(texts::of_workload()), &others.of_workload, view))
                (beside(&label(texts::at_node()), &others.on_node, view))
                (beside(&label(texts::at_that_time()), &others.at_that_time, view))
            }
            footer.actions {
                a href=(words::of_diagnosis(&diagnosis.uid)) { (label(texts::permalink())) }
                button type="button"
                    data-copy-from={ (words::of_diagnosis(&diagnosis.uid)) "?as=text&lang=" (view.tag()) }
                    data-copied=(label(texts::copied())) hidden { (label(texts::copy_text())) }
                a href={ (words::of_diagnosis(&diagnosis.uid)) "?as=text" } { (label(texts::as_text())) }
                a href={ (words::of_diagnosis(&diagnosis.uid)) "?as=json" } { "JSON" }
            }
        }
    }
}

fn steps(diagnosis: &Diagnosis, view: &View) -> Markup {
    let steps = localized::suggestions(diagnosis, view.language);
    html! {
        @if !steps.is_empty() {
            section.steps {
                h2 { (view.text(&texts::next_steps())) }
                ol {
                    @for step in &steps {
                        @let (words, command) = split(step);
                        li {
                            (words)
                            @if let Some(command) = command {
                                p.command {
                                    code { (command) }
                                    @if is_plain(command) {
                                        button type="button" data-copy=(command)
                                            data-copied=(view.text(&texts::copied())) hidden {
                                            (view.text(&texts::copy()))
                                        }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// A step without and with the command that it ends with.
fn split(step: &str) -> (&str, Option<&str>) {
    const PROGRAMS: [&str; 9] =
        ["coroner ", "kubectl ", "journalctl ", "addr2line ", "systemctl ", "crictl ", "dmesg ", "ctr ", "openssl "];
    let starts = PROGRAMS.iter().filter_map(|program| {
        [": ", "：", "： "]
            .iter()
            .filter_map(|colon| step.rfind(&format!("{colon}{program}")).map(|at| (at, at + colon.len())))
            .min()
    });
    match starts.min().and_then(|(end, start)| Some((step.get(..end)?, step.get(start..)?))) {
        Some((words, command)) => (words, Some(command)),
        None => (step, None),
    }
}

/// Whether a command means the same in every shell: names in it come from elsewhere, and what is copied is soon run.
fn is_plain(command: &str) -> bool {
    command.chars().all(|c| c.is_ascii_alphanumeric() || " -_./=:,@".contains(c))
}

fn statements(title: &str, class: &str, statements: &[Evidence], event: Option<Timestamp>, view: &View) -> Markup {
    html! {
        @if !statements.is_empty() {
            section class={ "statements " (class) } {
                h2 { (title) }
                ul { @for statement in statements { li { (statement_of(statement, event, view)) } } }
            }
        }
    }
}

fn statement_of(statement: &Evidence, event: Option<Timestamp>, view: &View) -> Markup {
    html! {
        p.source {
            span.tag { (statement.source) }
            @if let Some(time) = words::time(statement.time.as_ref()) {
                time datetime=(time) { (words::clock(time, event)) }
            }
        }
        p class=[statement.message.is_none().then_some("quote")] { (localized::evidence(statement, view.language)) }
    }
}

/// Other pods that took part, as far as the reader may see them.
fn related(diagnosis: &Diagnosis, event: Option<Timestamp>, view: &View) -> Markup {
    html! {
        @if !diagnosis.related.is_empty() {
            section.statements {
                h2 { (view.text(&texts::related())) }
                ul {
                    @for other in &diagnosis.related {
                        li {
                            p.strong {
                                (other.namespace) "/" (other.pod)
                                @if !other.container.is_empty() { " · " (other.container) }
                            }
                            @if let Some(statement) = &other.evidence { (statement_of(statement, event, view)) }
                        }
                    }
                }
            }
        }
    }
}

fn beside(title: &str, diagnoses: &[Diagnosis], view: &View) -> Markup {
    html! {
        @if !diagnoses.is_empty() {
            section.beside {
                h2 { (title) }
                (parts::rows(diagnoses, view))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use coroner_proto::v1::Subject;

    use super::*;

    #[test]
    fn what_happens_to_a_node_again_is_not_counted_in_a_container() {
        let of = |container: &str| Diagnosis {
            subject: Some(Subject { container: container.to_owned(), ..Subject::default() }),
            occurrence_count: 3,
            ..Diagnosis::default()
        };
        assert_eq!((times(&of("app")).id, times(&of("")).id), ("times_in_container".to_owned(), "times".to_owned()));
    }

    #[test]
    fn the_command_of_a_step_stands_by_itself() {
        let command = "kubectl -n shop logs web-1 -c web --previous";
        for step in [format!("Read the log: {command}"), format!("查看日志：{command}")] {
            assert_eq!(split(&step).1, Some(command), "{step}");
        }
        assert_eq!(split("Raise the limit: fewer workers").1, None);
    }

    #[test]
    fn only_commands_without_meaning_to_a_shell_can_be_copied() {
        assert!(is_plain("kubectl get pods -A -o wide --field-selector spec.nodeName=n1"));
        for hostile in
            ["kubectl logs a; rm -rf /", "kubectl logs $(id)", "kubectl logs `id`", "kubectl a\nb", "kubectl a|b"]
        {
            assert!(!is_plain(hostile), "{hostile}");
        }
    }
}
