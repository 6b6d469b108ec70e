//! The image could not be had.

use super::{Finding, PodCase};

pub(super) fn findings(_: PodCase<'_>) -> Vec<Finding> {
    Vec::new()
}
