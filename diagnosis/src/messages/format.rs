//! Quantities for people: sizes, spans of time, moments, lists.

use coroner_proto::v1::Cause;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};

use super::Language;

/// The most digits that are added where sizes would look alike: to the byte.
const FURTHER: u32 = 9;

/// A size in binary units with at most three significant digits, cut off and not rounded, so that what is below a limit
/// does not read like the limit: `64 MiB`, `397 MiB`, `7.99 GiB`, `12 KiB`. With so many digits more behind the point.
pub(crate) fn bytes(bytes: u64, further: u32) -> String {
    const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let mut unit = 0;
    let mut scale = 1u64;
    while bytes / scale >= 1000 && unit + 1 < UNITS.len() {
        scale <<= 10;
        unit += 1;
    }
    let digits = further.min(FURTHER)
        + match bytes / scale {
            100.. => 0,
            10.. => 1,
            _ => 2,
        };
    let parts = 10u128.pow(digits);
    let shown = u128::from(bytes) * parts / u128::from(scale);
    let shown = format!("{}.{:0width$}", shown / parts, shown % parts, width = digits as usize);
    format!("{} {}", shown.trim_end_matches('0').trim_end_matches('.'), UNITS[unit])
}

/// How many digits more sizes need that are compared, so that none that differ look alike.
pub(crate) fn further_digits(sizes: &[u64]) -> u32 {
    let looks_alike = |further: u32| {
        let pairs =
            sizes.iter().enumerate().flat_map(|(n, size)| sizes.iter().skip(n + 1).map(move |other| (size, other)));
        pairs.into_iter().any(|(size, other)| size != other && bytes(*size, further) == bytes(*other, further))
    };
    (0..FURTHER).find(|further| !looks_alike(*further)).unwrap_or(FURTHER)
}

/// A span of time in at most two units: `240 ms`, `2.1 s`, `30 s`, `5 min 12 s`, `3 h`, `2 d 4 h`.
pub(crate) fn duration(duration: SignedDuration, language: Language) -> String {
    let [ms, s, min, h, d] = match language {
        Language::English => ["ms", "s", "min", "h", "d"],
        Language::Chinese => ["毫秒", "秒", "分钟", "小时", "天"],
    };
    let millis = duration.as_millis().max(0);
    let seconds = millis / 1000;
    let two = |big: i128, unit: &str, small: i128, small_unit: &str| match small {
        0 => format!("{big} {unit}"),
        small => format!("{big} {unit} {small} {small_unit}"),
    };
    match seconds {
        0 if millis > 0 => format!("{millis} {ms}"),
        0 => format!("0 {s}"),
        1..10 if millis % 1000 >= 100 => format!("{seconds}.{} {s}", millis % 1000 / 100),
        1..120 => format!("{seconds} {s}"),
        120..3600 => two(seconds / 60, min, seconds % 60, s),
        3600..86_400 => two(seconds / 3600, h, seconds % 3600 / 60, min),
        _ => two(seconds / 86_400, d, seconds % 86_400 / 3600, h),
    }
}

/// A moment of the day with its zone: `11:20:04 UTC`.
pub(crate) fn time(time: Timestamp) -> String {
    format!("{} UTC", TimeZone::UTC.to_datetime(time).time().strftime("%H:%M:%S"))
}

/// The code of a cause, as the command line and the documents spell it.
pub(crate) fn cause(cause: Cause) -> String {
    cause.as_str_name().trim_start_matches("CAUSE_").to_owned()
}

/// An enumeration: `a, b and c`.
pub(crate) fn list(items: &[impl AsRef<str>], language: Language) -> String {
    let items: Vec<&str> = items.iter().map(AsRef::as_ref).collect();
    match (language, items.as_slice()) {
        (_, []) => String::new(),
        (_, [only]) => (*only).to_owned(),
        (Language::English, [first @ .., last]) => format!("{} and {last}", first.join(", ")),
        (Language::Chinese, items) => items.join("、"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_at_most_three_digits_and_never_exceed_what_they_are() {
        let sizes = [0, 999, 1000, 1024, 1536, 67_108_864, 416_493_568, 8_589_934_591, 8_589_934_592, u64::MAX];
        let shown: Vec<_> = sizes.into_iter().map(|size| bytes(size, 0)).collect();
        assert_eq!(
            shown,
            ["0 B", "999 B", "0.97 KiB", "1 KiB", "1.5 KiB", "64 MiB", "397 MiB", "7.99 GiB", "8 GiB", "15.9 EiB"]
        );
    }

    #[test]
    fn sizes_that_are_compared_differ_where_they_are_different() {
        let shown = |sizes: [u64; 2]| sizes.map(|size| bytes(size, further_digits(&sizes)));
        const GIB: u64 = 1 << 30;
        assert_eq!(shown([GIB, GIB]), ["1 GiB", "1 GiB"]);
        assert_eq!(shown([22 * GIB, 23 * GIB]), ["22 GiB", "23 GiB"]);
        assert_eq!(shown([23_850_000_000, 23_880_000_000]), ["22.21 GiB", "22.23 GiB"]);
        assert_eq!(shown([8 * GIB - 1, 8 * GIB]), ["7.99 GiB", "8 GiB"]);
        assert_eq!(shown([22 * GIB + 1, 22 * GIB + 2]), ["22 GiB", "22.000000001 GiB"]);
    }

    #[test]
    fn spans_of_time_have_at_most_two_units() {
        let spans = [0, 240, 1000, 2149, 30_000, 119_900, 312_000, 10_800_000, 187_200_000];
        let shown = |language| spans.map(|millis| duration(SignedDuration::from_millis(millis), language));
        assert_eq!(
            shown(Language::English),
            ["0 s", "240 ms", "1 s", "2.1 s", "30 s", "119 s", "5 min 12 s", "3 h", "2 d 4 h"]
        );
        assert_eq!(shown(Language::Chinese)[6], "5 分钟 12 秒");
    }

    #[test]
    fn a_moment_has_its_zone() {
        assert_eq!(time("2026-11-20T11:20:04.7Z".parse().unwrap()), "11:20:04 UTC");
    }

    #[test]
    fn lists_are_read_aloud() {
        assert_eq!(list(&["a", "b", "c"], Language::English), "a, b and c");
        assert_eq!(list(&["a", "b"], Language::Chinese), "a、b");
        assert_eq!(list(&["a"], Language::English), "a");
    }
}
