//! The version of the programs, as `--version` shows it.

/// The version with the revision of the sources, `0.1.0 (3f2b8c1d9e04)`, where the build knows it: by
/// `CORONER_REVISION`, or from git in a build with optimization. Else the version alone.
pub const fn version() -> &'static str {
    env!("CORONER_VERSION")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_revision_follows_the_version_where_it_is_known() {
        let rest = version().strip_prefix(env!("CARGO_PKG_VERSION")).unwrap();
        let revision = rest.strip_prefix(" (").and_then(|rest| rest.strip_suffix(')'));
        assert!(rest.is_empty() || revision.is_some_and(|revision| !revision.is_empty()), "{rest}");
    }
}
