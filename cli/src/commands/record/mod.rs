//! `coroner record`: a file that can be attached to a report, and that `coroner replay` reads.

mod beside;
mod node;
mod stored;

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use jiff::{Timestamp, Unit, tz::TimeZone};

pub(crate) use self::{node::run as of_node, stored::run as of_subject};
use crate::{archive::Packer, args::RecordArgs, exit::Failure, messages::notes, out::Out};

/// Where a recording is written: to stdout, or to a file, which is removed unless it is finished.
#[derive(Debug)]
struct Target {
    /// `None` for stdout.
    path: Option<PathBuf>,
    is_whole: bool,
}

impl Target {
    /// Begins to write to what was asked for; by default to a file in the working directory that is named after what is
    /// recorded. A file is for its owner only, and never written over another.
    fn begin(args: &RecordArgs, name: String, now: Timestamp) -> Result<(Self, Packer<Box<dyn Write>>), Failure> {
        let path = match &args.file {
            Some(path) if path == Path::new("-") => None,
            Some(path) => Some(path.clone()),
            None => Some(format!("{name}.tar.gz").into()),
        };
        let out: Box<dyn Write> = match &path {
            None => Box::new(io::stdout()),
            Some(path) => {
                let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
                let file = file.map_err(|error| match error.kind() {
                    io::ErrorKind::AlreadyExists => Failure::error(notes::file_exists(path.display().to_string())),
                    _ => Failure::error(notes::cannot_write(path.display().to_string(), error.to_string())),
                })?;
                Box::new(io::BufWriter::new(file))
            }
        };
        Ok((Self { path, is_whole: false }, Packer::new(out, name, now)))
    }

    /// Writes what is left, and reports what was recorded.
    fn finish(mut self, packer: Packer<Box<dyn Write>>, case_json: &str, out: &Out) -> Result<(), Failure> {
        packer.finish(case_json)?.flush()?;
        self.is_whole = true;
        if let Some(path) = &self.path {
            let bytes = fs::metadata(path).map(|metadata| metadata.len()).unwrap_or_default();
            out.note(&notes::recorded(path.display().to_string(), bytes));
            out.note(&notes::recorded_look());
        }
        Ok(())
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if let Some(path) = self.path.as_ref().filter(|_| !self.is_whole) {
            // Nothing depends on it: it is not a recording.
            let _kept = fs::remove_file(path);
        }
    }
}

/// The name of the folder in the archive, and of the archive without its ending.
fn name(of: &str, now: Timestamp) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
    let of: String = of.chars().map(plain).take(80).collect();
    let now = now.round(Unit::Second).unwrap_or(now).to_zoned(TimeZone::UTC).strftime("%Y%m%dT%H%M%SZ");
    format!("coroner-{of}-{now}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_is_named_after_what_it_is_of() {
        let at = "2026-11-20T10:02:11.9Z".parse().unwrap();
        assert_eq!(name("worker-3", at), "coroner-worker-3-20261120T100212Z");
        assert_eq!(name("../shop/deploy/web", at), "coroner-..-shop-deploy-web-20261120T100212Z");
    }
}
