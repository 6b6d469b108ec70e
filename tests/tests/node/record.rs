//! What `coroner record` makes of a real death leads to the diagnosis that the agent made.

use std::{
    ffi::OsString,
    fs::{self, File},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Child, Command},
};

use anyhow::{Context, Result, ensure};
use coroner_proto::v1::Cause;
use coroner_tests::{
    ContainerSpec, MIB, Node, Verdict,
    coroner::{agent, command_line},
    until,
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

use crate::{run_one, watched_node};

/// What the victim logs before it eats, and must not be recorded.
const SECRET: &str = "hunter2-correct-horse";

/// The node's own file systems, with the logs of the test's pods in the place of its own.
fn host_root(node: &Node) -> Result<PathBuf> {
    let root = node.directory().join("root");
    fs::create_dir_all(root.join("var/log"))?;
    for name in ["proc", "sys", "dev", "run", "etc"] {
        symlink(Path::new("/").join(name), root.join(name))?;
    }
    symlink(node.directory().join("pods"), root.join("var/log/pods"))?;
    Ok(root)
}

/// Ended with the test.
struct Recorder(Child);

impl Drop for Recorder {
    fn drop(&mut self) {
        // It may have ended.
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// The cause, the exit code and the signal of the first diagnosis of this pod in the answer of `coroner replay`.
fn replayed(recording: &Path, pod: &str) -> Result<Value> {
    let output = Command::new(command_line()?).args(["replay", "-o", "json", "--explain"]).arg(recording).output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{:?}: {errors}", output.status);
    let lines = String::from_utf8(output.stdout)?;
    let diagnoses = lines.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>()?;
    let found = diagnoses.iter().find(|diagnosis| diagnosis["subject"]["name"] == pod);
    found.cloned().with_context(|| format!("none of {pod}: {lines}{errors}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_leads_to_the_diagnosis_of_the_agent_and_holds_no_secret() -> Result<()> {
    let (node, coroner) = watched_node().await?;
    let flags: Vec<OsString> = vec![
        format!("--host-root={}", host_root(&node)?.display()).into(),
        format!("--cri-endpoint=unix://{}", node.socket().display()).into(),
        format!("--container-logs={}", node.kubelet().container_logs().display()).into(),
        "--docker-endpoint=none".into(),
        "--node-name=recorded".into(),
    ];
    let rows = node.directory().join("rows");
    let recorder = Command::new(agent()?)
        .args(["record", "--seconds=600", "--max-bytes=67108864"])
        .args(&flags)
        .stdout(File::create(&rows)?)
        .spawn()
        .map(Recorder)?;
    let until_recorded = async |what: &str, is_it: &dyn Fn(&str) -> bool| {
        until(what, async || Ok(fs::read_to_string(&rows)?.lines().any(is_it).then_some(()))).await
    };
    until_recorded("signals are observed", &|row| row.contains(r#"{"health":["signals","#)).await?;
    let eat = format!("echo login with password={SECRET}; exec /bin/victim eat 200");
    let container = ContainerSpec::new("app", ["/bin/sh", "-c", &eat]).memory_limit(64 * MIB);
    let pod = run_one(&node, "cart", container).await?;
    let verdict = Verdict::fatal(&pod, Cause::OomContainerLimit).exit_code(137).signal(9);
    let [diagnosis] = coroner.conclude([verdict]).await?;

    // Its log is read when its end has been observed.
    until_recorded("the log is recorded", &|row| row.contains(r#"{"log":"#) && row.contains(&pod.name)).await?;
    kill(Pid::from_raw(i32::try_from(recorder.0.id())?), Signal::SIGTERM)?;
    until_recorded("the recording ends", &|row| row.starts_with(r#"{"case":"#)).await?;
    let written = fs::read_to_string(&rows)?;
    let (recorded, case) = written.trim_end().rsplit_once('\n').context("nothing was recorded")?;
    let case: Value = serde_json::from_str(case)?;
    let folder = node.directory().join("case");
    fs::create_dir(&folder)?;
    fs::write(folder.join("case.json"), case["case"].to_string())?;
    ensure!(recorded.contains("[redacted:named]") && !recorded.contains(SECRET), "the secret was recorded");
    fs::write(folder.join("observed.ndjson"), recorded)?;
    let found = replayed(&folder, &pod.name)?;
    let expected = |key: &str| found[key].as_str().unwrap_or_default().to_owned();
    ensure!(expected("cause") == "CAUSE_OOM_CONTAINER_LIMIT" && found["exit"]["code"] == 137, "{found}");
    ensure!(expected("summary") == diagnosis.summary, "{found} and not {diagnosis:?}");
    ensure!(found["explanation"].as_array().is_some_and(|steps| !steps.is_empty()), "{found}");

    // Afterwards, as one file.
    let archive = node.directory().join("case.tar.gz");
    let arguments = ["record", "--for=2s", "--file"].map(OsString::from);
    let output = Command::new(command_line()?).args(arguments).arg(&archive).arg("--").args(&flags).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    ensure!(fs::metadata(&archive)?.len() > 0);
    let output = Command::new(command_line()?).arg("replay").arg(&archive).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
