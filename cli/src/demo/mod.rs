//! `coroner demo`: real deaths on this machine, each explained by the real agent and aggregator as it arrives in the feed.
//!
//! It needs root and no Kubernetes: [`pods`] makes what a kubelet would leave on a node, [`victim`] plays containers, and
//! [`scenes`] says what is done to them. Whatever happens, it takes away what it made.

mod daemon;
mod feed;
mod pods;
mod program;
mod scenes;
mod stage;
pub(crate) mod victim;

use std::time::Duration;

use anyhow::{Context, Result};
use coroner_diagnosis::catalogue::Language;
use coroner_proto::v1::{Diagnosis, SourceStatus};
use jiff::Timestamp;
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
    explain,
    out::Out,
    page::{Look, Page, span},
    table::{self, Shape, Table},
    words,
};

/// From a victim's start to its explanation.
const SCENE_DEADLINE: Duration = Duration::from_secs(15);

pub(crate) async fn run(out: &mut Out) -> Result<Outcome, Failure> {
    if !Uid::effective().is_root() {
        return Err(Failure::unavailable(
            "the demo needs root, to make cgroups and to read the kernel's log: sudo coroner demo",
        ));
    }
    for program in ["coroner-aggregator", "coroner-agent"] {
        daemon::beside(program).map_err(|error| Failure::unavailable(format!("{error:#}")))?;
    }
    let failed = |error: anyhow::Error| Failure::error(format!("{error:#}"));
    let mut stage = Stage::new().map_err(failed)?;
    let stopped = stop_signal().map_err(failed)?;
    let played = tokio::select! {
        played = play(&mut stage, out) => played.map_err(failed),
        () = stopped => Err(Failure::error("interrupted")),
    };
    let struck = stage.strike().await.map_err(failed);
    let outcome = played?;
    struck?;
    Ok(outcome)
}

/// Resolves when the demo is told to stop.
fn stop_signal() -> Result<impl Future<Output = ()>> {
    let mut signals = Vec::new();
    for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()] {
        signals.push(signal(kind).context("listening to signals")?);
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
    /// The last word about it, and whether it explains it.
    verdict: Option<Diagnosis>,
    explained: bool,
    latency: String,
}

async fn play(stage: &mut Stage, out: &mut Out) -> Result<Outcome> {
    let node = gethostname().context("reading the host's name")?.to_string_lossy().into_owned();
    narrate(out, |page| {
        let text = "Five containers die on this machine, for real. An agent of their node watches, without Kubernetes or a \
                    container runtime; what it finds out comes from the aggregator's gRPC feed.";
        page.paragraph(None, 0, &[span(Look::Plain, text)]);
    })?;
    let (mut feed, sources) = stage.set_up(&node).await?;
    narrate(out, |page| {
        let mut told = Vec::new();
        for source in &sources {
            let comma = if told.is_empty() { "" } else { ", " };
            told.extend([span(Look::Plain, &format!("{comma}{} ", source.source)), status::health(source.health())]);
        }
        page.paragraph(Some((0, span(Look::Plain, "Its sources:"))), 13, &told);
        page.blank();
    })?;
    let mut all = Vec::new();
    for (index, scene) in Scene::ALL.into_iter().enumerate() {
        narrate(out, |page| {
            let number = span(Look::Strong, &format!("{}/{}", index + 1, Scene::ALL.len()));
            page.paragraph(Some((0, number)), 5, &[span(Look::Strong, scene.story())]);
        })?;
        let mut played = Played { scene, verdict: None, explained: false, latency: String::new() };
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
        let death = words::time(arrival.diagnosis.event_time.as_ref());
        let millis = death.map(|death| arrival.at.duration_since(death).as_micros().max(0));
        played.latency =
            millis.map_or_else(String::new, |micros| format!("{}.{} ms", micros / 1000, micros % 1000 / 100));
    }
    played.explained = explains;
    played.verdict = Some(arrival.diagnosis.clone());
}

/// Writes for people: to stdout where they read that, else to stderr.
fn narrate(out: &mut Out, write: impl FnOnce(&mut Page)) -> Result<()> {
    let mut page = out.page();
    write(&mut page);
    if matches!(out.format, Some(Format::Json | Format::Yaml)) {
        page.into_text().lines().for_each(|line| out.tell(line));
    } else {
        out.write(&page.into_text())?;
    }
    Ok(())
}

fn show(played: &Played, out: &mut Out) -> Result<()> {
    let Some(verdict) = &played.verdict else {
        return narrate(out, |page| {
            page.paragraph(
                None,
                5,
                &[span(Look::Bad, &format!("nothing was told about it within {SCENE_DEADLINE:?}"))],
            );
        });
    };
    if let Some(text) = data::render(out.format, verdict).map_err(|error| anyhow::anyhow!("{error}"))? {
        out.write(&text)?;
        return Ok(());
    }
    let now = Timestamp::now();
    if let Some(format @ (Format::Table | Format::Wide)) = out.format {
        let shape = Shape { wide: format == Format::Wide, growing: true };
        let mut rows = table::diagnoses(shape);
        rows.push(table::row(verdict, shape, now));
        let text = rows.render_growing(out, out.headers);
        out.write(&text)?;
        return Ok(());
    }
    narrate(out, |page| {
        page.blank();
        explain::explain(page, verdict, now);
        if played.explained && !played.latency.is_empty() {
            let text = format!("Arrived {} after the death.", played.latency);
            page.paragraph(None, 2, &[span(Look::Faint, &text)]);
        }
        page.blank();
    })
}

fn sum_up(all: &[Played], sources: &[SourceStatus], out: &mut Out) -> Result<Outcome> {
    let missing: Vec<&str> = all.iter().filter(|played| !played.explained).map(|played| played.scene.pod()).collect();
    let mut summary = Table::new(vec!["POD", "CAUSE", "CONFIDENCE", "AFTER"]);
    for played in all {
        let verdict = played.verdict.as_ref();
        let look = if played.explained { Look::Good } else { Look::Bad };
        summary.push(vec![
            span(Look::Strong, played.scene.pod()),
            span(look, &verdict.map_or_else(|| "nothing told".to_owned(), |verdict| words::cause(verdict.cause))),
            span(Look::Plain, verdict.map_or("", |verdict| words::confidence(verdict).to(Language::English))),
            span(Look::Plain, &played.latency),
        ]);
    }
    if matches!(out.format, None | Some(Format::Table | Format::Wide)) {
        let text = summary.render(out);
        out.write(&text)?;
    }
    if missing.is_empty() {
        narrate(out, |page| page.paragraph(None, 0, &[span(Look::Good, "All five deaths were explained.")]))?;
        return Ok(Outcome::Answered);
    }
    let missing = missing.join(", ");
    out.tell(&format!("Not explained: {missing}. Sources that do not see everything here: {}.", blind(sources)));
    Ok(Outcome::Partial)
}
