//! A container's memory over the minutes before its kill, as SVG.

use std::fmt::Write as _;

use coroner_diagnosis::messages::Message;
use coroner_proto::v1::{Diagnosis, Memory, Moment, MomentKind};
use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};

use super::{messages::texts, timeline::percent, view::View, words};

/// Points that are drawn.
const MAX_POINTS: usize = 64;
/// Pixels of the picture without its labels.
const HEIGHT: u16 = 160;
const LABELS: u16 = 22;
/// The longest time that is drawn beside the samples.
const LONGEST: SignedDuration = SignedDuration::from_mins(15);

/// Usage against limit, `memory.high` and request, the kill, and what else happened. Nothing where less than two
/// samples are known.
pub(super) fn memory(diagnosis: &Diagnosis, view: &View) -> Markup {
    let (Some(memory), Some(killed)) = (&diagnosis.memory, words::event(diagnosis)) else { return Markup::default() };
    let points = points(memory, killed);
    let (Some((first_sample, first)), Some((_, last))) = (points.first(), points.last()) else {
        return Markup::default();
    };
    if points.len() < 2 {
        return Markup::default();
    }
    let lines = lines(memory);
    let highest = points.iter().map(|(_, usage)| *usage).chain(lines.iter().map(|line| line.bytes)).max();
    let marks = marks(memory, killed);
    let start = marks.iter().map(|mark| mark.start).chain([*first_sample]).min().unwrap_or(*first_sample);
    // Room above the highest line for its label.
    let top = as_f64(highest.unwrap_or(1).max(1)) * 1.15;
    let picture = Picture { start, end: killed, top };
    let label = |message| view.text(&message);
    html! {
        figure.memory {
            figcaption { (label(texts::memory_before())) }
            svg width="100%" height=(HEIGHT + LABELS) role="img"
                aria-label=(label(texts::memory_picture(*first, *last, words::span(killed.duration_since(start))))) {
                svg width="100%" height=(HEIGHT) viewBox="0 0 1000 1000" preserveAspectRatio="none" {
                    path.area d=(picture.path(&points, true)) {}
                    path.usage d=(picture.path(&points, false)) {}
                }
                @for line in &lines {
                    @let y = picture.pixel(line.bytes);
                    line class=(line.class) x1="0" x2="100%" y1=(y) y2=(y) {}
                    text class=(line.class) x=(line.place) y=(line.label(y)) { (label((line.name)(line.bytes))) }
                }
                @for mark in &marks { (picture.mark(mark)) }
                line.axis x1="0" x2="100%" y1=(HEIGHT) y2=(HEIGHT) {}
                line.kill x1="99.8%" x2="99.8%" y1="0" y2=(HEIGHT) {}
                text.kill x="99%" y=(HEIGHT - 12) text-anchor="end" { (label(texts::killed())) }
                text x="0" y=(HEIGHT + 16) { (words::moment(start)) }
                text x="100%" y=(HEIGHT + 16) text-anchor="end" { (words::moment(killed)) }
            }
            @if !marks.is_empty() {
                div.legend {
                    @for (class, name) in KINDS.iter().map(|(_, class, name)| (class, name)) {
                        @let times: Vec<_> = marks.iter().filter(|mark| mark.class == *class).collect();
                        @if let Some(latest) = times.last() {
                            span {
                                span class={ "symbol " (class) } {}
                                (label(name(times.len()))) " " time datetime=(latest.start) { (words::clock(latest.start, Some(killed))) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// A line at a number of bytes.
struct Line {
    class: &'static str,
    bytes: u64,
    name: fn(u64) -> Message,
    /// Where its label begins: those of lines that lie close together must not cover each other.
    place: &'static str,
}

impl Line {
    /// Where its label stands, by where the line does: that of the limit above it, the others below, since they lie
    /// close to the limit as a rule.
    fn label(&self, y: u16) -> u16 {
        if self.class == "limit" { y.saturating_sub(5).max(11) } else { y + 13 }
    }
}

fn lines(memory: &Memory) -> Vec<Line> {
    let line = |class, bytes: Option<u64>, name, place| {
        bytes.filter(|bytes| *bytes > 0).map(|bytes| Line { class, bytes, name, place })
    };
    let limit = memory.container_limit_bytes.or(memory.limit_bytes);
    let all = [
        line("limit", limit, texts::memory_limit_of, "4"),
        line("high", memory.container_high_bytes, texts::memory_high_of, "33%"),
        line(
            "request",
            memory.container_request_bytes.filter(|bytes| Some(*bytes) != limit),
            texts::memory_request_of,
            "60%",
        ),
    ];
    all.into_iter().flatten().collect()
}

/// Something that happened in the minutes before.
struct Mark {
    class: &'static str,
    start: Timestamp,
    end: Timestamp,
}

/// What is drawn of each kind, and how it is worded by its count.
type Kind = (MomentKind, &'static str, fn(usize) -> Message);
const KINDS: [Kind; 3] = [
    (MomentKind::CpuThrottled, "throttled", texts::moments_throttled),
    (MomentKind::ProbeFailed, "probe", texts::moments_probe),
    (MomentKind::Restart, "restart", texts::moments_restart),
];

fn marks(memory: &Memory, killed: Timestamp) -> Vec<Mark> {
    let mark = |moment: &Moment| {
        let (_, class, _) = KINDS.into_iter().find(|(kind, ..)| *kind == moment.kind())?;
        let start = words::time(moment.time.as_ref()).filter(|start| *start <= killed)?;
        // Whatever a record states, the picture is of some minutes.
        let start = (killed.duration_since(start) <= LONGEST).then_some(start)?;
        let end = words::time(moment.end_time.as_ref()).unwrap_or(start).clamp(start, killed);
        Some(Mark { class, start, end })
    };
    memory.moments.iter().take(MAX_POINTS).filter_map(mark).collect()
}

/// What was sampled up to the kill, the oldest first.
fn points(memory: &Memory, killed: Timestamp) -> Vec<(Timestamp, u64)> {
    let points = memory.history.iter().filter_map(|point| Some((words::time(point.time.as_ref())?, point.usage_bytes)));
    let mut points: Vec<_> = points.filter(|(time, _)| *time <= killed).take(MAX_POINTS).collect();
    points.sort_unstable();
    points
}

struct Picture {
    start: Timestamp,
    end: Timestamp,
    top: f64,
}

impl Picture {
    /// A line through the points, or the area below it, in thousandths of the picture. Between samples nothing is
    /// known: they are joined straight, and the last one holds until the kill.
    fn path(&self, points: &[(Timestamp, u64)], is_area: bool) -> String {
        let mut path = String::new();
        let mut last = 1000.0;
        for (index, (time, usage)) in points.iter().enumerate() {
            let x = self.percent(*time) * 10.0;
            last = 1000.0 - as_f64(*usage) / self.top * 1000.0;
            let command = if index == 0 { 'M' } else { 'L' };
            // A String takes whatever is written to it.
            let _infallible = write!(path, "{command}{x:.1} {last:.1}");
        }
        let _infallible = write!(path, "L1000 {last:.1}");
        if is_area {
            let first = points.first().map_or(0.0, |(time, _)| self.percent(*time) * 10.0);
            let _infallible = write!(path, "L1000 1000L{first:.1} 1000Z");
        }
        path
    }

    /// A band, a dot on the axis or a line.
    fn mark(&self, mark: &Mark) -> Markup {
        let (from, to) = (self.percent(mark.start), self.percent(mark.end));
        html! {
            @match mark.class {
                "throttled" => rect.throttled x=(percent(from)) y=(HEIGHT - 6) width=(percent((to - from).max(0.6))) height="6" {},
                "probe" => circle.probe cx=(percent(from)) cy=(HEIGHT - 3) r="4.5" {},
                _ => line.restart x1=(percent(from)) x2=(percent(from)) y1="0" y2=(HEIGHT) {},
            }
        }
    }

    /// Where a moment stands, from the left.
    fn percent(&self, time: Timestamp) -> f64 {
        let whole = self.end.duration_since(self.start).as_secs_f64().max(0.001);
        (time.duration_since(self.start).as_secs_f64() / whole * 100.0).clamp(0.0, 100.0)
    }

    /// Where a usage stands, in pixels from above.
    fn pixel(&self, usage: u64) -> u16 {
        let share = (as_f64(usage) / self.top).clamp(0.0, 1.0);
        (0..=HEIGHT).find(|pixel| f64::from(*pixel) >= f64::from(HEIGHT) * (1.0 - share)).unwrap_or(HEIGHT)
    }
}

#[expect(clippy::cast_precision_loss, reason = "of a drawing")]
fn as_f64(bytes: u64) -> f64 {
    bytes as f64
}

/// A share of a whole, as a percentage for SVG's `width`.
pub(super) fn share(part: usize, whole: usize) -> String {
    percent(as_f64(part as u64) / as_f64(whole.max(1) as u64) * 100.0)
}
