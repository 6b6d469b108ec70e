//! What has arrived, as its receiver has written it down: a file that grows, compared with what was sent.

use std::fmt;
use std::fs::File;
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use coroner_tests::flow::{diagnosis, name, number_of, summary, uid};
use serde_json::Value;

/// Node and number of a line that is exactly what was sent.
type Understand = Box<dyn Fn(&str) -> Result<(u16, u64)>>;

/// A file and how far it was checked.
pub(crate) struct Journal {
    path: PathBuf,
    understand: Understand,
    /// Whole lines were checked up to here.
    offset: u64,
    /// Of each node, from the first on: how many have arrived.
    arrived: Vec<u64>,
    per_node: u64,
    repeated: u64,
}

impl Journal {
    pub(crate) fn new(path: PathBuf, nodes: u16, per_node: u64, understand: Understand) -> Self {
        Self { path, understand, offset: 0, arrived: vec![0; nodes.into()], per_node, repeated: 0 }
    }

    /// Every number of every node has arrived.
    pub(crate) fn is_complete(&self) -> bool {
        self.arrived.iter().all(|arrived| *arrived == self.per_node)
    }

    /// Checks some more whole lines; whether there were any.
    pub(crate) fn advance(&mut self) -> Result<bool> {
        let mut file = match File::open(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            opened => opened.with_context(|| format!("opening {:?}", self.path))?,
        };
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(self.offset)).and_then(|_| file.take(64 << 10).read_to_end(&mut bytes))?;
        let Some(end) = bytes.iter().rposition(|byte| *byte == b'\n') else { return Ok(false) };
        for line in str::from_utf8(&bytes[..end]).context("what arrived is text")?.lines() {
            self.take(line).with_context(|| format!("{:?} behind {self}: {line}", self.path))?;
        }
        self.offset += end as u64 + 1;
        Ok(true)
    }

    fn take(&mut self, line: &str) -> Result<()> {
        let (node, number) = (self.understand)(line)?;
        let arrived = self.arrived.get_mut(usize::from(node) - 1).context("there is no such node")?;
        ensure!((1..=self.per_node).contains(&number), "it was never sent");
        match number {
            next if next == *arrived + 1 => *arrived = next,
            before if before <= *arrived => self.repeated += 1,
            _ => bail!("lost or disordered: number {} of node {node} has not come", *arrived + 1),
        }
        Ok(())
    }
}

impl fmt::Display for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "arrived {:?}, repeated {}", self.arrived, self.repeated)
    }
}

/// A line of [`crate::flow`]'s reader, which holds diagnoses against what was sent itself.
pub(crate) fn of_reader(line: &str) -> Result<(u16, u64)> {
    let (node, number) = line.split_once(' ').context("neither node nor number")?;
    Ok((node.parse().context("no node")?, number.parse().context("no number")?))
}

/// A line of an exporter's file of native JSON.
pub(crate) fn of_exporter() -> Result<Understand> {
    let wanted = coroner_proto::json::to_value(&diagnosis(1, 1))?;
    let wanted = move |node, number| {
        let mut wanted = wanted.clone();
        wanted["uid"] = uid(node, number).into();
        wanted["summary"] = summary(number).into();
        wanted["subject"]["node"] = name(node).into();
        wanted
    };
    Ok(Box::new(move |line| {
        let line: Value = serde_json::from_str(line).context("no JSON")?;
        let uid = line["diagnosis"]["uid"].as_str().context("no diagnosis")?;
        let (node, number) = number_of(uid).context("it was never sent")?;
        ensure!(line["id"] == format!("{uid}:1"), "another id");
        ensure!(line["diagnosis"] == wanted(node, number), "not as it was sent");
        Ok((node, number))
    }))
}
