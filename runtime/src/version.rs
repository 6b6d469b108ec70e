//! The version of the programs, as `--version` shows it.

use std::sync::LazyLock;

static VERSION: LazyLock<String> = LazyLock::new(|| with_revision(option_env!("CORONER_REVISION")));

/// The version with the revision of the sources, `0.1.0 (3f2b8c1d9e04)`, where the build has set `CORONER_REVISION`, as
/// that of an image does; else the version alone.
pub fn version() -> &'static str {
    &VERSION
}

fn with_revision(revision: Option<&str>) -> String {
    let version = env!("CARGO_PKG_VERSION");
    match revision.filter(|revision| !revision.is_empty()) {
        Some(revision) => format!("{version} ({revision})"),
        None => version.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_revision_follows_where_it_is_known() {
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(with_revision(None), version);
        assert_eq!(with_revision(Some("")), version);
        assert_eq!(with_revision(Some("3f2b8c1d9e04")), format!("{version} (3f2b8c1d9e04)"));
    }
}
