//! The machine itself.

use std::process::Command;

use anyhow::{Context, Result};
use coroner_tests::machine;

/// Every test of this program that the machine runs.
fn expected() -> Result<Vec<String>> {
    let program = std::env::current_exe().context("finding the test program")?;
    let list = Command::new(program).arg("--list").output().context("listing the tests")?;
    let list = String::from_utf8(list.stdout).context("names of tests are text")?;
    let names = list.lines().filter_map(|line| line.strip_suffix(": test"));
    Ok(names.filter(|name| !machine::SKIPPED.iter().any(|part| name.contains(part))).map(str::to_owned).collect())
}

#[test]
fn on_cgroup_v2_every_test_of_the_node_passes_too() -> Result<()> {
    let expected = expected()?;
    let report = machine::run_tests()?;
    let passed: Vec<&str> =
        report.outcomes.iter().filter(|outcome| outcome.passed).map(|outcome| outcome.test.as_str()).collect();
    let missing: Vec<String> = expected.into_iter().filter(|test| !passed.contains(&test.as_str())).collect();
    assert!(missing.is_empty(), "did not pass on cgroup v2: {missing:#?}\n{}", report.output);
    Ok(())
}
