//! Sizes as people write them: `1048576`, `64MiB`, `1Gi`.

/// A size in bytes: a number, with a binary unit or without one.
pub(super) fn parse_size(text: &str) -> Result<u64, String> {
    let digits = text.find(|char: char| !char.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(digits).unwrap_or((text, ""));
    let shift = match unit.trim_start().trim_end_matches('B').trim_end_matches('i') {
        "" => Some(0),
        "K" => Some(10),
        "M" => Some(20),
        "G" => Some(30),
        _ => None,
    };
    let bytes = shift.and_then(|shift| number.parse::<u64>().ok()?.checked_mul(1 << shift));
    bytes.ok_or_else(|| "not a size such as 1048576, 64MiB or 1GiB".to_owned())
}

#[cfg(test)]
mod tests {
    use super::parse_size;

    #[test]
    fn sizes_are_bytes_or_have_a_binary_unit() {
        for (text, wanted) in
            [("0", 0), ("1048576", 1 << 20), ("10B", 10), ("64MiB", 64 << 20), ("64 MiB", 64 << 20), ("1Gi", 1 << 30)]
        {
            assert_eq!(parse_size(text), Ok(wanted), "{text}");
        }
        for text in ["", "MiB", "-1", "1.5GiB", "1TiB", "99999999999GiB", "one"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }
}
