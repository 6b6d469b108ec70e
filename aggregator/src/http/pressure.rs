//! How short a node was of processors, memory and disks over the last hour, as SVG.

use std::fmt::Write as _;

use coroner_diagnosis::messages::Message;
use jiff::Timestamp;
use maud::{Markup, html};
use serde_json::{Value, json};

use super::{messages::texts, view::View};
use crate::nodes::PressurePoint;

/// Pixels of the picture without its labels.
const HEIGHT: u16 = 110;
const LABELS: u16 = 22;
/// Minutes that it shows.
const MINUTES: u32 = 60;

/// What is drawn of a point, with its class and its name.
type Line = (&'static str, fn() -> Message, fn(&PressurePoint) -> f32);

const LINES: [Line; 3] = [
    ("cpu", texts::pressure_cpu, |point| point.cpu),
    ("memory", texts::pressure_memory, |point| point.memory),
    ("io", texts::pressure_io, |point| point.io),
];

/// The lines of an hour. Nothing where no minute of it is known.
pub(super) fn draw(points: &[PressurePoint], view: &View) -> Markup {
    let end = u32::try_from(view.now.as_second() / 60).unwrap_or(0);
    let start = end.saturating_sub(MINUTES);
    let points: Vec<_> = points.iter().filter(|point| point.minute >= start && point.minute <= end).collect();
    let lines = LINES.map(|(class, name, value)| {
        let known = points.iter().map(|point| (point.minute, value(point))).filter(|(_, percent)| !percent.is_nan());
        (class, view.text(&name()), known.collect::<Vec<_>>())
    });
    if lines.iter().all(|(.., known)| known.is_empty()) {
        return Markup::default();
    }
    let highest = |known: &[(u32, f32)]| known.iter().map(|(_, percent)| *percent).fold(0.0, f32::max);
    let worded = |name: &str, known: &[(u32, f32)]| format!("{name} {:.0} %", highest(known));
    let label = lines.iter().filter(|(.., known)| !known.is_empty()).map(|(_, name, known)| worded(name, known));
    let label = view.text(&texts::pressure_picture(label.collect::<Vec<_>>().join(", ")));
    let moment = |minute: u32| {
        let time = Timestamp::from_second(i64::from(minute) * 60).unwrap_or(view.now);
        time.strftime("%H:%M").to_string()
    };
    html! {
        figure.pressure {
            figcaption { (view.text(&texts::pressure())) }
            svg width="100%" height=(HEIGHT + LABELS) role="img" aria-label=(label) {
                @for (y, percent) in [(0, 100), (HEIGHT / 2, 50)] {
                    line.grid x1="0" x2="100%" y1=(y) y2=(y) {}
                    text x="100%" y=(y + 12) text-anchor="end" { (percent) " %" }
                }
                svg width="100%" height=(HEIGHT) viewBox="0 0 1000 1000" preserveAspectRatio="none" {
                    @for (class, _, known) in &lines { path class=(class) d=(path(known, start)) {} }
                }
                line.axis x1="0" x2="100%" y1=(HEIGHT) y2=(HEIGHT) {}
                text x="0" y=(HEIGHT + 16) { (moment(start)) }
                text x="100%" y=(HEIGHT + 16) text-anchor="end" { (moment(end)) }
            }
            div.legend {
                @for (class, name, known) in lines.iter().filter(|(.., known)| !known.is_empty()) {
                    span { span class={ "stroke " (class) } {} (worded(name, known)) }
                }
            }
        }
    }
}

/// A line through the minutes, in thousandths of the picture; it is broken where a minute is not known.
fn path(known: &[(u32, f32)], start: u32) -> String {
    let (mut path, mut last) = (String::new(), None);
    for (minute, percent) in known {
        let x = f64::from(minute - start) / f64::from(MINUTES) * 1000.0;
        let y = 1000.0 - f64::from(*percent) * 10.0;
        // A line of no length makes a minute by itself a dot. A String takes whatever is written to it.
        let _infallible = match last {
            Some(last) if last + 1 >= *minute => write!(path, "L{x:.1} {y:.1}"),
            _ => write!(path, "M{x:.1} {y:.1}h0"),
        };
        last = Some(*minute);
    }
    path
}

/// The same as JSON; what is not known is null.
pub(super) fn as_json(points: &[PressurePoint]) -> Value {
    let percent = |value: f32| if value.is_nan() { Value::Null } else { json!(value) };
    let point = |point: &PressurePoint| {
        let time = Timestamp::from_second(i64::from(point.minute) * 60).ok().map(|time| time.to_string());
        json!({
            "time": time,
            "cpuSomePercent": percent(point.cpu),
            "memoryFullPercent": percent(point.memory),
            "ioFullPercent": percent(point.io),
        })
    };
    points.iter().map(point).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_broken_where_a_minute_is_missing() {
        assert_eq!(path(&[(10, 0.0), (11, 100.0), (13, 50.0)], 10), "M0.0 1000.0h0L16.7 0.0M50.0 500.0h0");
        assert_eq!(path(&[], 0), "");
    }
}
