//! Amounts of resources, as `250m` or `64Mi` (`k8s.io/apimachinery/pkg/api/resource`).

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

/// Amounts by resource name, in thousandths of its unit: millicores, thousandths of a byte. In order of their names: a
/// node has those of each container, one or two, for which a map takes half a KiB.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Resources(Box<[(String, i128)]>);

impl Resources {
    /// The amount of this resource; `None` if it has none.
    pub fn get(&self, name: &str) -> Option<i128> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, amount)| *amount)
    }

    /// Whether it has no amount of any.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each resource, and its amount.
    pub fn iter(&self) -> impl Iterator<Item = (&str, i128)> {
        self.0.iter().map(|(name, amount)| (name.as_str(), *amount))
    }
}

impl FromIterator<(String, i128)> for Resources {
    fn from_iter<T: IntoIterator<Item = (String, i128)>>(amounts: T) -> Self {
        Self(BTreeMap::from_iter(amounts).into_iter().collect())
    }
}

/// An amount in thousandths; `None` for what is no quantity. What is finer is rounded up, as Kubernetes does.
pub fn amount(text: &str) -> Option<i128> {
    let end = text.find(|c: char| !c.is_ascii_digit() && !matches!(c, '+' | '-' | '.')).unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (base, exponent): (i128, u32) = match suffix {
        "Ki" => (1024, 1),
        "Mi" => (1024, 2),
        "Gi" => (1024, 3),
        "Ti" => (1024, 4),
        "Pi" => (1024, 5),
        "Ei" => (1024, 6),
        "" => (1000, 0),
        "k" => (1000, 1),
        "M" => (1000, 2),
        "G" => (1000, 3),
        "T" => (1000, 4),
        "P" => (1000, 5),
        "E" => (1000, 6),
        "m" | "u" | "n" => return scaled(number, 1000, suffix),
        _ => {
            let power: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
            if !(-9..=18).contains(&power) {
                return None;
            }
            let whole = 1000_i128.checked_mul(10_i128.pow(power.max(0).unsigned_abs()))?;
            return fraction(number, whole, 10_i128.pow((-power).max(0).unsigned_abs()));
        }
    };
    fraction(number, 1000_i128.checked_mul(base.pow(exponent))?, 1)
}

fn scaled(number: &str, thousandths: i128, suffix: &str) -> Option<i128> {
    let divisor = match suffix {
        "m" => 1000,
        "u" => 1_000_000,
        _ => 1_000_000_000,
    };
    fraction(number, thousandths, divisor)
}

/// A decimal number times `times` by `divisor`.
fn fraction(number: &str, times: i128, divisor: i128) -> Option<i128> {
    let (sign, digits) = match number.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, number.strip_prefix('+').unwrap_or(number)),
    };
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.len() + part.len() > 30 || (whole.is_empty() && part.is_empty()) {
        return None;
    }
    let decimal = |text: &str| if text.is_empty() { Some(0) } else { crate::parse::decimal::<u128>(text) };
    let scale = 10_i128.pow(u32::try_from(part.len()).ok()?);
    let whole = i128::try_from(decimal(whole)?).ok()?.checked_mul(times)?;
    let part = i128::try_from(decimal(part)?).ok()?.checked_mul(times)?;
    let rounded = |value: i128, by: i128| (value + by - 1) / by;
    let value = rounded(whole.checked_mul(scale)?.checked_add(part)?, scale.checked_mul(divisor)?);
    Some(sign * value)
}

pub(super) fn resources(amounts: Option<&BTreeMap<String, Quantity>>) -> Resources {
    let amounts = amounts.into_iter().flatten();
    amounts.filter_map(|(name, quantity)| Some((name.clone(), amount(&quantity.0)?))).collect()
}

/// As decimal text: JSON has no numbers of 128 bits.
pub(super) mod as_text {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use super::Resources;

    pub(crate) fn serialize<S: Serializer>(amounts: &Resources, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(amounts.iter().map(|(name, amount)| (name, amount.to_string())))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Resources, D::Error> {
        let texts = std::collections::BTreeMap::<String, String>::deserialize(deserializer)?;
        let amounts = texts.into_iter().map(|(name, text)| Ok((name, text.parse().map_err(D::Error::custom)?)));
        amounts.collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_what_kubernetes_writes() {
        for (text, expected) in [
            ("250m", 250),
            ("2", 2000),
            ("0.5", 500),
            ("64Mi", 64 * 1024 * 1024 * 1000),
            ("1.5Gi", 3 * 512 * 1024 * 1024 * 1000),
            ("1e3", 1_000_000),
            ("12E", 12_000_000_000_000_000_000_000),
            ("100n", 1),
            ("-1", -1000),
        ] {
            assert_eq!(amount(text), Some(expected), "{text}");
        }
        for text in ["", "Mi", "1..2", "1Xi", "1e99", "--1", "1e"] {
            assert_eq!(amount(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text: String) {
            let _read = amount(&text);
        }

        #[test]
        fn numbers_and_suffixes_are_read_without_panic(text in "[-+]?[0-9]{0,40}\\.?[0-9]{0,40}([kMGTPE]i?|[munE]|e-?[0-9]{1,3})?") {
            let _read = amount(&text);
        }
    }
}
