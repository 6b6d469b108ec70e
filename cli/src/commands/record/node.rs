//! What the sources of an agent observe on this node, for a while.

use std::{
    ffi::OsString,
    io,
    path::Path,
    process::{ExitStatus, Stdio},
};

use coroner_diagnosis::recording::Recording;
use jiff::Timestamp;
use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, gethostname},
};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
    select,
    signal::unix::{SignalKind, signal},
};

use super::{
    Target,
    beside::{AGENT, agent},
    name,
};
use crate::{
    args::RecordArgs,
    demo::daemon::{beside, how_ended},
    exit::{Failure, Outcome},
    messages::{demo, notes},
    out::Out,
};

/// The beginning of the last line that it writes.
const CASE: &str = "{\"case\":";

pub(crate) async fn run(args: &RecordArgs, out: &Out) -> Result<Outcome, Failure> {
    let now = Timestamp::now();
    let host = gethostname().unwrap_or_default();
    let (target, mut packer) = Target::begin(args, name(&host.to_string_lossy(), now), now)?;
    out.note(&notes::recording(args.duration));
    let mut case = None;
    let recorded = observe(args, |line| match line.starts_with(CASE) {
        true => {
            case = Some(line);
            Ok(())
        }
        false => Ok(packer.row(&line)?),
    });
    let status = recorded.await?;
    let case = case.and_then(|line| serde_json::from_str::<Value>(&line).ok());
    let Some(case) = case.map(|line| line["case"].to_string()) else {
        return Err(Failure::unavailable(notes::recording_failed(AGENT, how_ended(status))));
    };
    target.finish(packer, &format!("{case}\n"), out)?;
    if Recording::new(&case).is_ok_and(|recording| recording.full) {
        out.note(&notes::recorded_full(args.max_bytes));
        return Ok(Outcome::Partial);
    }
    Ok(Outcome::Answered)
}

fn failed(call: &str) -> impl Fn(io::Error) -> Failure {
    move |error| Failure::unavailable(demo::failed_call(call, error.to_string()))
}

/// Runs the recorder until it ends. SIGINT and SIGTERM ask it to end its recording.
async fn observe(
    args: &RecordArgs,
    mut take: impl FnMut(String) -> Result<(), Failure>,
) -> Result<ExitStatus, Failure> {
    let listen = |kind| signal(kind).map_err(failed("sigaction"));
    let mut stop = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    let mut command = Command::new(beside(AGENT)?);
    command.args(arguments(args)).stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
    let recorder = command.spawn();
    let mut recorder = recorder.map_err(|error| Failure::unavailable(demo::failed_start(AGENT, error.to_string())))?;
    let stdout = recorder.stdout.take().expect("it is a pipe");
    let mut lines = BufReader::new(stdout).lines();
    let pid = recorder.id().and_then(|pid| i32::try_from(pid).ok()).map(Pid::from_raw);
    loop {
        let line = select! {
            line = lines.next_line() => line.map_err(failed("read"))?,
            _ = stop.0.recv() => { end(pid); continue }
            _ = stop.1.recv() => { end(pid); continue }
        };
        match line {
            Some(line) => take(line)?,
            None => return recorder.wait().await.map_err(failed("waitpid")),
        }
    }
}

/// It may just have ended.
fn end(recorder: Option<Pid>) {
    let _ended = recorder.map(|pid| kill(pid, Signal::SIGTERM));
}

fn arguments(args: &RecordArgs) -> Vec<OsString> {
    let mut given: Vec<OsString> = vec!["record".into()];
    let mut flag = |name: &str, value: &str| given.push(format!("--{name}={value}").into());
    flag("seconds", &args.duration.as_secs().to_string());
    flag("max-bytes", &args.max_bytes.to_string());
    args.namespace.iter().for_each(|namespace| flag("namespace", namespace));
    args.pods.iter().for_each(|pod| flag("pod", pod));
    if let Some(pid) = args.agent_flags.is_empty().then(|| agent(Path::new("/proc"))).flatten() {
        flag("like-agent", &pid.to_string());
    }
    if args.no_logs {
        given.push("--no-logs".into());
    }
    given.extend(args.agent_flags.iter().cloned());
    given
}
