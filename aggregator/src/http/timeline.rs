//! Deaths on a time axis, as SVG: a mark each, those of about the same time above one another; what is not known as
//! hatched spans, states as bands. Places are given in percent, so that it fits every width without a script.

use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};

/// Columns that marks are sorted into.
const COLUMNS: u32 = 120;
/// Marks above one another; the topmost stands for all further ones.
const MOST: usize = 12;
/// Pixels of a mark, and of a place.
const MARK: usize = 7;
const PLACE: usize = 9;
/// Pixels below the marks: bands and labels.
const BAND: usize = 6;
const LABELS: usize = 22;
/// Distances of the ticks, of which the first that gives few enough is taken.
const STEPS: [i64; 12] = [60, 300, 600, 1_800, 3_600, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800, 1_209_600];
const MAX_TICKS: i64 = 8;

/// An event on the axis, at one moment.
#[derive(Clone, Debug)]
pub(super) struct Mark {
    pub(super) time: Timestamp,
    /// The class of its severity.
    pub(super) class: &'static str,
    pub(super) link: String,
    pub(super) title: String,
}

/// A state on the axis, from one moment to another.
#[derive(Clone, Debug)]
pub(super) struct Span {
    pub(super) start: Timestamp,
    pub(super) end: Timestamp,
    pub(super) title: String,
}

/// The marks and spans between two moments.
#[derive(Clone, Debug)]
pub(super) struct Timeline {
    pub(super) start: Timestamp,
    pub(super) end: Timestamp,
    pub(super) marks: Vec<Mark>,
    /// Of which nothing is known, or not all.
    pub(super) gaps: Vec<Span>,
    /// States, drawn below the marks.
    pub(super) bands: Vec<Span>,
}

impl Timeline {
    /// Where a moment stands, in percent; within the axis for whatever lies outside.
    fn place(&self, time: Timestamp) -> f64 {
        let whole = self.end.duration_since(self.start).as_secs_f64().max(1.0);
        (time.duration_since(self.start).as_secs_f64() / whole * 100.0).clamp(0.0, 100.0)
    }

    fn ticks(&self) -> Vec<(f64, String)> {
        let (first, last) = (self.start.as_second(), self.end.as_second());
        let step = STEPS.into_iter().find(|step| (last - first) / step <= MAX_TICKS).unwrap_or(2_419_200);
        let format = if step < 86_400 { "%H:%M" } else { "%m-%d" };
        let times =
            (first.div_euclid(step) + 1..=last.div_euclid(step)).filter_map(|n| Timestamp::from_second(n * step).ok());
        // At midnight the day is what matters.
        let label = |time: Timestamp| match time.as_second().rem_euclid(86_400) {
            0 => time.strftime("%m-%d").to_string(),
            _ => time.strftime(format).to_string(),
        };
        // Labels at the very edges would be cut.
        times.map(|time| (self.place(time), label(time))).filter(|(at, _)| (2.0..=98.0).contains(at)).collect()
    }

    /// The marks, by column, the most severe at the bottom.
    fn columns(&self) -> Vec<(u32, Vec<&Mark>)> {
        let mut marks: Vec<_> = self.marks.iter().map(|mark| (self.column(mark.time), mark)).collect();
        marks.sort_by_key(|(column, mark)| (*column, rank(mark.class), std::cmp::Reverse(mark.time)));
        let mut columns: Vec<(u32, Vec<&Mark>)> = Vec::new();
        for (column, mark) in marks {
            match columns.last_mut() {
                Some((last, of_last)) if *last == column => of_last.push(mark),
                _ => columns.push((column, vec![mark])),
            }
        }
        columns
    }

    fn column(&self, time: Timestamp) -> u32 {
        let column = self.place(time) / 100.0 * f64::from(COLUMNS);
        (0..COLUMNS).rev().find(|n| f64::from(*n) <= column).unwrap_or(0)
    }

    /// As SVG. Its marks are links for the pointer; the list below them has the same for everybody.
    pub(super) fn draw(&self, label: &str) -> Markup {
        let columns = self.columns();
        let most = columns.iter().map(|(_, marks)| marks.len().min(MOST)).max().unwrap_or(0).max(5);
        let base = most * PLACE + 6;
        let height = base + BAND + LABELS;
        let width = 100.0 / f64::from(COLUMNS);
        html! {
            svg.timeline width="100%" height=(height) role="group" aria-label=(label) {
                defs {
                    pattern #hatch width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)" {
                        line.hatch x1="0" y1="0" x2="0" y2="6" {}
                    }
                }
                @for gap in &self.gaps {
                    (self.span(gap, "gap", 0, base))
                }
                @for (at, label) in self.ticks() {
                    line.grid x1=(percent(at)) x2=(percent(at)) y1="0" y2=(base) {}
                    text x=(percent(at)) y=(height - 5) text-anchor="middle" { (label) }
                }
                line.axis x1="0" x2="100%" y1=(base) y2=(base) {}
                @for band in &self.bands {
                    (self.span(band, "band", base + 1, BAND - 1))
                }
                @for (column, marks) in &columns {
                    @for (row, mark) in marks.iter().take(MOST).enumerate() {
                        a href=(mark.link) tabindex="-1" {
                            title {
                                (mark.title)
                                @if row + 1 == MOST && marks.len() > MOST { " +" (marks.len() - MOST) }
                            }
                            rect class={ "mark " (mark.class) } x=(percent(f64::from(*column) * width))
                                y=(base - 1 - (row + 1) * PLACE + PLACE - MARK) width=(percent(width * 0.82))
                                height=(MARK) rx="1.5" {}
                        }
                    }
                }
            }
        }
    }

    fn span(&self, span: &Span, class: &str, y: usize, height: usize) -> Markup {
        let (from, to) = (self.place(span.start), self.place(span.end));
        // Seen however short it was.
        let width = (to - from).max(0.4);
        html! {
            rect class=(class) x=(percent(from.min(100.0 - width))) y=(y) width=(percent(width)) height=(height) {
                title { (span.title) }
            }
        }
    }
}

/// The most severe first.
fn rank(class: &str) -> u8 {
    match class {
        "critical" => 0,
        "error" => 1,
        "warning" => 2,
        _ => 3,
    }
}

/// A share as a percentage, for an attribute of SVG.
pub(super) fn percent(share: f64) -> String {
    format!("{share:.2}%")
}

/// The axis: all of the time that was asked for, or as far back as was looked.
pub(super) fn axis(start: Timestamp, now: Timestamp, looked_to: Option<Timestamp>) -> (Timestamp, Timestamp) {
    let start = looked_to.map_or(start, |looked_to| looked_to.max(start));
    // An axis of no length shows nothing.
    let least = now.checked_sub(SignedDuration::from_mins(5)).unwrap_or(now);
    (start.min(least), now)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn timeline(marks: Vec<Mark>) -> Timeline {
        Timeline { start: at(86_400), end: at(2 * 86_400), marks, gaps: Vec::new(), bands: Vec::new() }
    }

    #[test]
    fn hostile_titles_and_links_are_escaped() {
        let mark =
            Mark { time: at(90_000), class: "error", link: "/d/\"><script>".into(), title: "</title><script>".into() };
        let svg = timeline(vec![mark]).draw("\"><b>").into_string();
        assert!(!svg.contains("<script>") && !svg.contains("<b>"), "{svg}");
    }

    #[test]
    fn of_many_at_once_as_many_are_drawn_as_fit_and_the_last_counts_the_others() {
        let mark =
            |n: i64| Mark { time: at(90_100 + n), class: "error", link: format!("/d/{n}"), title: format!("t{n}") };
        let svg = timeline((0..40).map(mark).collect()).draw("").into_string();
        assert_eq!(svg.matches("class=\"mark").count(), MOST);
        assert!(svg.contains(" +28<"), "{svg}");
    }

    #[test]
    fn what_lies_outside_stays_on_the_axis() {
        let timeline = timeline(Vec::new());
        assert_eq!((timeline.place(at(0)), timeline.place(at(86_400 * 9))), (0.0, 100.0));
        assert_eq!(timeline.column(at(86_400 * 9)), COLUMNS - 1);
        let instant = Timeline { end: timeline.start, ..timeline };
        assert!(instant.place(at(86_401)).is_finite());
    }

    #[test]
    fn ticks_stand_at_round_times() {
        let labels: Vec<_> = timeline(Vec::new()).ticks().into_iter().map(|(_, label)| label).collect();
        assert_eq!(labels, ["03:00", "06:00", "09:00", "12:00", "15:00", "18:00", "21:00"]);
    }
}
