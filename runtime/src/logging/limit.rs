//! No place in the program may flood the log: after a burst of lines, each place gets one line every few seconds. The
//! next one that is written states how many were left out.

use std::{
    collections::HashMap,
    fmt,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use tracing::{Event, Level, Subscriber, callsite::Identifier};
use tracing_subscriber::{
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::Writer,
        time::{FormatTime as _, SystemTime},
    },
    registry::LookupSpan,
};

use super::Format;

/// Lines of one place that may be written at once: each source reports its state at start.
const BURST: u32 = 30;
/// Time in which one more line may be written.
const REFILL: Duration = Duration::from_secs(10);

/// Writes lines in a format, as far as the limit of their place allows.
#[derive(Debug)]
pub(super) struct Limited<F> {
    format: Format,
    lines: F,
    /// By place: as many as log statements in the program.
    places: Mutex<HashMap<Identifier, Place>>,
}

impl<F> Limited<F> {
    pub(super) fn new(format: Format, lines: F) -> Self {
        Self { format, lines, places: Mutex::default() }
    }

    /// Whether a line may be written now, and how many of its place were left out before it.
    fn admit(&self, event: &Event<'_>, now: Instant) -> Option<u64> {
        // Who asks for more detail gets all of it.
        if *event.metadata().level() > Level::INFO {
            return Some(0);
        }
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        places.entry(event.metadata().callsite()).or_insert_with(|| Place::new(now)).admit(now)
    }
}

impl<S, N, F> FormatEvent<S, N> for Limited<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut line: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        // An error means that nothing is written.
        let left_out = self.admit(event, Instant::now()).ok_or(fmt::Error)?;
        if left_out > 0 {
            let mut time = String::new();
            SystemTime.format_time(&mut Writer::new(&mut time))?;
            let level = event.metadata().level();
            match self.format {
                Format::Text => writeln!(line, "{time} {level:>5} {left_out} lines like the next one were left out")?,
                Format::Json => writeln!(
                    line,
                    "{{\"timestamp\":\"{time}\",\"level\":\"{level}\",\"message\":\"Lines like the next one were left out\",\
                     \"count\":{left_out}}}"
                )?,
            }
        }
        self.lines.format_event(context, line, event)
    }
}

/// What one place in the program may still write.
#[derive(Debug)]
struct Place {
    left: u32,
    /// When `left` was last increased.
    refilled: Instant,
    left_out: u64,
}

impl Place {
    fn new(now: Instant) -> Self {
        Self { left: BURST, refilled: now, left_out: 0 }
    }

    fn admit(&mut self, now: Instant) -> Option<u64> {
        let passed = now.saturating_duration_since(self.refilled);
        let more = u32::try_from(passed.as_secs() / REFILL.as_secs()).unwrap_or(BURST).min(BURST);
        if more > 0 {
            self.left = self.left.saturating_add(more).min(BURST);
            self.refilled = if self.left == BURST { now } else { self.refilled + REFILL * more };
        }
        if self.left == 0 {
            self.left_out += 1;
            return None;
        }
        self.left -= 1;
        Some(std::mem::take(&mut self.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_cut_and_counted_and_a_trickle_passes() {
        let start = Instant::now();
        let mut place = Place::new(start);
        let written = (0..1000).filter(|_| place.admit(start).is_some()).count();
        assert_eq!(written, 30);
        assert_eq!(place.admit(start + REFILL), Some(970), "one more, with the number of those left out");
        assert_eq!(place.admit(start + REFILL), None);
        for n in 2..100 {
            assert!(place.admit(start + REFILL * n).is_some(), "{n}");
        }
        let rested = start + REFILL * 1000;
        assert_eq!(
            (0..1000).filter(|_| place.admit(rested).is_some()).count(),
            30,
            "no more than a burst after a rest"
        );
    }
}
