//! `coroner demo`: real deaths on this machine, each explained by the real agent and aggregator as it arrives in the
//! feed.
//!
//! It needs root and no Kubernetes: [`pods`] makes what a kubelet would leave on a node, [`victim`] plays containers,
//! and [`scenes`] defines what is done to them. In any case, it removes what it created.

pub(crate) mod daemon;
mod feed;
mod linux;
mod pods;
mod program;
mod scenes;
mod stage;
pub(crate) mod victim;

use std::{error::Error, path::Path, time::Duration};

use coroner_diagnosis::messages::Language;
use coroner_proto::v1::{Diagnosis, SourceStatus};
use jiff::{SignedDuration, Timestamp};
use nix::unistd::{Uid, gethostname};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::{Instant, timeout_at},
};

use self::{
    feed::{Arrival, blind},
    scenes::Scene,
    stage::Stage,
};
use crate::{
    args::Format,
    commands::status,
    data,
    exit::{Failure, Outcome},
    explain, labels,
    messages::{command, demo, text},
    out::Out,
    page::{Look, Page, span},
    rows::{Kind, Rows},
    table::Table,
};

/// From a victim's start to its explanation.
const SCENE_DEADLINE: Duration = Duration::from_secs(30);

pub(crate) async fn run(out: &mut Out) -> Result<Outcome, Failure> {
    if !Uid::effective().is_root() {
        return Err(Failure::unavailable(demo::needs_root()));
    }
    for program in ["coroner-aggregator", "coroner-agent"] {
        daemon::beside(program)?;
    }
    let mut stage = Stage::new(out.reader.language)?;
    let stopped = stop_signal()?;
    let played = tokio::select! {
        played = play(&mut stage, out) => played,
        () = stopped => Err(Failure::error(demo::interrupted())),
    };
    let struck = stage.strike().await;
    let outcome = played?;
    struck?;
    Ok(outcome)
}

/// The failure of a system call or command, from its error.
fn failed<E: Error>(call: &str) -> impl FnOnce(E) -> Failure {
    move |error| Failure::error(demo::failed_call(call, error.to_string()))
}

/// The failure of reading a file, from its error.
fn failed_read<E: Error>(path: &Path) -> impl FnOnce(E) -> Failure {
    move |error| Failure::error(demo::failed_read(path.display().to_string(), error.to_string()))
}

/// The failure of creating a file, link or directory, from its error.
fn failed_create<E: Error>(path: &Path) -> impl FnOnce(E) -> Failure {
    move |error| Failure::error(demo::failed_create(path.display().to_string(), error.to_string()))
}

/// The failure of starting a program, from its error.
fn failed_start<E: Error>(program: &str) -> impl FnOnce(E) -> Failure {
    move |error| Failure::error(demo::failed_start(program, error.to_string()))
}

/// Resolves when the demo is asked to stop.
fn stop_signal() -> Result<impl Future<Output = ()>, Failure> {
    let mut signals = Vec::new();
    for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()] {
        signals.push(signal(kind).map_err(failed("sigaction"))?);
    }
    let [mut interrupt, mut terminate, mut hangup] =
        <[_; 3]>::try_from(signals).expect("there is one for each of three kinds");
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    })
}

/// How a scene went.
#[derive(Debug)]
struct Played {
    scene: Scene,
    /// The latest diagnosis of it, and whether it explains it.
    verdict: Option<Diagnosis>,
    explained: bool,
    /// From the death to the arrival of the explanation.
    latency: Option<SignedDuration>,
}

async fn play(stage: &mut Stage, out: &mut Out) -> Result<Outcome, Failure> {
    let node = gethostname().map_err(failed("gethostname"))?.to_string_lossy().into_owned();
    narrate(out, |page| {
        let text = text(&demo::demo_begins(), page.language());
        page.paragraph(None, 0, &[span(Look::Plain, &text)]);
    })?;
    let (mut feed, sources) = stage.set_up(&node).await?;
    narrate(out, |page| {
        let mut spans = Vec::new();
        for source in &sources {
            let comma = match page.language() {
                _ if spans.is_empty() => "",
                Language::English => ", ",
                Language::Chinese => "，",
            };
            spans.extend([
                span(Look::Plain, &format!("{comma}{} ", source.source)),
                status::health(source.health(), page.language()),
            ]);
        }
        let label = span(Look::Plain, &text(&demo::demo_sources(), page.language()));
        page.paragraph(Some((0, label.clone())), label.columns() + 1, &spans);
        page.blank();
    })?;
    let mut all = Vec::new();
    for (index, scene) in Scene::ALL.into_iter().enumerate() {
        narrate(out, |page| {
            let number = span(Look::Strong, &format!("{}/{}", index + 1, Scene::ALL.len()));
            page.paragraph(Some((0, number)), 5, &[span(Look::Strong, &text(&scene.story(), page.language()))]);
        })?;
        let mut played = Played { scene, verdict: None, explained: false, latency: None };
        if stage.act(scene).await? {
            let deadline = Instant::now() + SCENE_DEADLINE;
            while !played.explained {
                let Ok(arrival) = timeout_at(deadline, feed.next()).await else { break };
                let arrival = arrival?;
                for played in all.iter_mut().chain([&mut played]) {
                    take(played, &arrival);
                }
            }
            show(&played, out)?;
        }
        all.push(played);
    }
    sum_up(&all, &sources, out)
}

/// Takes note of what has arrived, if it is about this scene. What explained it once may be revised.
fn take(played: &mut Played, arrival: &Arrival) {
    let explains = played.scene.is_explained_by(&arrival.diagnosis);
    let is_revision = played.verdict.as_ref().is_some_and(|verdict| verdict.uid == arrival.diagnosis.uid);
    if !played.scene.is_about(&arrival.diagnosis) || (played.explained && !is_revision) {
        return;
    }
    if !played.explained {
        let death = labels::time(arrival.diagnosis.event_time.as_ref());
        played.latency = death.map(|death| arrival.at.duration_since(death));
    }
    played.explained = explains;
    played.verdict = Some(arrival.diagnosis.clone());
}

/// Writes for people: to stdout where they read that, else to stderr.
fn narrate(out: &mut Out, write: impl FnOnce(&mut Page)) -> Result<(), Failure> {
    let mut page = out.page();
    write(&mut page);
    if matches!(out.format, Some(Format::Name | Format::Json | Format::Yaml)) {
        page.into_text().lines().for_each(|line| out.line(line));
    } else {
        out.write(&page.into_text())?;
    }
    Ok(())
}

fn show(played: &Played, out: &mut Out) -> Result<(), Failure> {
    let Some(verdict) = &played.verdict else {
        return narrate(out, |page| {
            let text = text(&demo::demo_no_verdict(SCENE_DEADLINE.as_secs()), page.language());
            page.paragraph(None, 5, &[span(Look::Bad, &text)]);
        });
    };
    if let Some(text) = data::diagnosis(out.format, verdict)? {
        out.write(&text)?;
        return Ok(());
    }
    let now = Timestamp::now();
    if let Some(Format::Table | Format::Wide) = out.format {
        let mut rows = Rows::new(Kind::Growing, out);
        rows.push(verdict, out, now);
        let text = rows.render(out);
        out.write(&text)?;
        return Ok(());
    }
    narrate(out, |page| {
        page.blank();
        explain::explain(page, verdict, verdict.into(), now);
        if let Some(latency) = played.latency.filter(|_| played.explained) {
            let text = text(&demo::demo_latency(latency), page.language());
            page.paragraph(None, 2, &[span(Look::Faint, &text)]);
        }
        page.blank();
    })
}

fn sum_up(all: &[Played], sources: &[SourceStatus], out: &mut Out) -> Result<Outcome, Failure> {
    let missing: Vec<&str> = all.iter().filter(|played| !played.explained).map(|played| played.scene.pod()).collect();
    let mut summary = Table::new(vec![
        command::column_pod(),
        command::column_cause(),
        command::column_confidence(),
        command::column_after(),
    ]);
    for played in all {
        let verdict = played.verdict.as_ref();
        let look = if played.explained { Look::Good } else { Look::Bad };
        summary.push(vec![
            span(Look::Strong, played.scene.pod()),
            span(
                look,
                &verdict.map_or_else(|| out.text(&demo::demo_nothing()), |verdict| labels::cause(verdict.cause)),
            ),
            span(Look::Plain, &verdict.map_or_else(String::new, |verdict| out.text(&labels::confidence(verdict)))),
            span(Look::Plain, &played.latency.map_or_else(String::new, |latency| out.text(&demo::demo_after(latency)))),
        ]);
    }
    if matches!(out.format, None | Some(Format::Table | Format::Wide)) {
        let text = summary.render(out);
        out.write(&text)?;
    }
    if missing.is_empty() {
        narrate(out, |page| {
            page.paragraph(None, 0, &[span(Look::Good, &text(&demo::demo_all_explained(), page.language()))])
        })?;
        return Ok(Outcome::Answered);
    }
    out.note(&demo::demo_not_explained(missing, blind(sources, out.reader.language)));
    Ok(Outcome::Partial)
}
