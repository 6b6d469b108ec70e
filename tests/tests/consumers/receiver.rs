//! `receiver.py`: grpcio as receiver of OTLP, and the exporters that go to it, each of which wants a script of its own.

use std::fs;
use std::path::Path;

use anyhow::Result;
use coroner_tests::until;
use serde_json::Value;
use tempfile::TempDir;

use crate::aggregator::{json_lines, summary};
use crate::python::Process;

/// The receiver, and what it has written down.
pub(crate) struct Receiver {
    process: Process,
    directory: TempDir,
    pub(crate) port: u16,
    most_bytes: Option<&'static str>,
}

impl Receiver {
    pub(crate) async fn start(most_bytes: Option<&'static str>) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let (process, port) = Self::spawn(directory.path(), 0, most_bytes).await?;
        Ok(Self { process, directory, port, most_bytes })
    }

    async fn spawn(directory: &Path, port: u16, most_bytes: Option<&str>) -> Result<(Process, u16)> {
        let (port, file) = (port.to_string(), directory.join("port"));
        fs::write(&file, "")?;
        let place = directory.display().to_string();
        let arguments = [Some(port.as_str()), Some(&place), most_bytes];
        let mut process = Process::script("receiver.py", &arguments.into_iter().flatten().collect::<Vec<_>>())?;
        let port = until("the receiver listens", async || {
            process.check()?;
            Ok(fs::read_to_string(&file)?.strip_suffix('\n').map(str::to_owned))
        });
        let port = port.await?.parse()?;
        Ok((process, port))
    }

    /// It dies.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.process.kill()
    }

    /// It comes back, where it was.
    pub(crate) async fn rise(&mut self) -> Result<()> {
        (self.process, self.port) = Self::spawn(self.directory.path(), self.port, self.most_bytes).await?;
        Ok(())
    }

    pub(crate) fn calls(&self, script: &str) -> Result<Vec<Value>> {
        let mut calls = json_lines(&self.directory.path().join("calls.jsonl"))?;
        calls.retain(|call| call["script"] == script);
        Ok(calls)
    }

    /// The bodies of what it has taken.
    pub(crate) fn taken(&self, script: &str) -> Result<Vec<String>> {
        let taken = self.calls(script)?.into_iter().filter(|call| call["taken"] == true);
        Ok(taken.flat_map(|call| strings(&call["bodies"])).collect())
    }

    /// An exporter to it that wants that script.
    pub(crate) fn export(&self, script: &str) -> Result<String> {
        Ok(format!("otlp+http://127.0.0.1:{}?{}", self.port, self.options(script)?))
    }

    /// The options of such an exporter.
    pub(crate) fn options(&self, script: &str) -> Result<String> {
        let name = name(script);
        let headers = self.directory.path().join(format!("{name}.header"));
        fs::write(&headers, format!("X-Script: {script}\n"))?;
        Ok(format!("name={name}&header-file={}", headers.display()))
    }
}

pub(crate) fn strings(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().map(|word| word.as_str().unwrap_or_default().to_owned()).collect()
}

pub(crate) fn summaries(numbers: impl IntoIterator<Item = u64>) -> Vec<String> {
    numbers.into_iter().map(summary).collect()
}

/// The name of the exporter that wants it: in letters of a file's.
pub(crate) fn name(script: &str) -> String {
    script.to_lowercase().replace(' ', "-")
}
