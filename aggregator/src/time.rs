//! Times: `google.protobuf.Timestamp` on the wire, nanoseconds since 1970 in the ledger.

use jiff::Timestamp as Moment;
use prost_types::Timestamp;

/// Nanoseconds since 1970; none before 1970, after 2262, or where the parts are not in range.
pub fn nanoseconds(time: &Timestamp) -> Option<i64> {
    let seconds = time.seconds.checked_mul(1_000_000_000)?;
    (time.seconds >= 0 && (0..1_000_000_000).contains(&time.nanos)).then(|| seconds.checked_add(time.nanos.into()))?
}

/// The reverse of [`nanoseconds`].
pub fn timestamp(nanoseconds: i64) -> Timestamp {
    let nanos = i32::try_from(nanoseconds.rem_euclid(1_000_000_000)).expect("a remainder below 1e9 fits");
    Timestamp { seconds: nanoseconds.div_euclid(1_000_000_000), nanos }
}

/// The time of the clock in nanoseconds since 1970.
pub fn now() -> i64 {
    i64::try_from(Moment::now().as_nanosecond()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_out_of_range_are_refused() {
        for (seconds, nanos) in
            [(-1, 0), (0, -1), (0, 1_000_000_000), (i64::MAX, 0), (i64::MAX / 1_000_000_000, 999_999_999)]
        {
            assert_eq!(nanoseconds(&Timestamp { seconds, nanos }), None, "{seconds} {nanos}");
        }
        assert_eq!(
            timestamp(nanoseconds(&Timestamp { seconds: 5, nanos: 7 }).unwrap()),
            Timestamp { seconds: 5, nanos: 7 }
        );
    }
}
