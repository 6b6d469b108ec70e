//! Sizes as people write them: `1048576`, `64MiB`, `1Gi`.

use crate::{messages, problem::Problem};

/// A size of at least one byte: a number, with a binary unit or without one.
///
/// # Errors
/// If it is none.
pub fn parse(text: &str) -> Result<u64, Problem> {
    let digits = text.find(|char: char| !char.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(digits).unwrap_or((text, ""));
    let shift = match unit.trim_start() {
        "" | "B" => Some(0),
        "Ki" | "KiB" => Some(10),
        "Mi" | "MiB" => Some(20),
        "Gi" | "GiB" => Some(30),
        "Ti" | "TiB" => Some(40),
        _ => None,
    };
    let bytes = shift.and_then(|shift| number.parse::<u64>().ok()?.checked_mul(1 << shift));
    bytes.filter(|bytes| *bytes > 0).ok_or_else(|| messages::problem(messages::not_a_size()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_bytes_or_have_a_binary_unit() {
        for (text, wanted) in
            [("1048576", 1 << 20), ("10B", 10), ("64MiB", 64 << 20), ("64 MiB", 64 << 20), ("1Gi", 1 << 30)]
        {
            assert_eq!(parse(text), Ok(wanted), "{text}");
        }
        for text in ["", "MiB", "-1", "0", "1.5GiB", "1GB", "1K", "99999999TiB", "1é", "one"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
