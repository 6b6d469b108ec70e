//! Lines in a file or on stdout. A batch counts as taken when it is on disk.

use std::{
    io::{self, Write},
    sync::mpsc,
    thread,
};

use coroner_diagnosis::messages::operation;
use tokio::sync::oneshot;

use super::{
    super::{append, format, item::Item, target},
    Refused, Remedy, Sink, Taken,
};

/// A thread of its own: a pipe that is not read may block it for ever, and must not delay the program's end.
#[derive(Debug)]
pub(in super::super) struct Lines {
    target: target::Lines,
    jobs: Option<mpsc::Sender<Job>>,
}

type Job = (Vec<u8>, oneshot::Sender<io::Result<()>>);

impl Lines {
    pub(in super::super) fn new(target: target::Lines) -> Self {
        Self { target, jobs: None }
    }

    fn jobs(&mut self) -> io::Result<&mpsc::Sender<Job>> {
        match &mut self.jobs {
            Some(jobs) => Ok(jobs),
            none => {
                let (jobs, queue) = mpsc::channel::<Job>();
                let path = self.target.path.clone();
                thread::Builder::new().name("lines".into()).spawn(move || {
                    let mut file = path.map(append::Lines::new);
                    for (lines, reply) in queue {
                        let written = match &mut file {
                            Some(file) => file.append(&lines),
                            None => write_stdout(&lines),
                        };
                        // It is not awaited if the program is ending.
                        let _gone = reply.send(written);
                    }
                })?;
                Ok(none.insert(jobs))
            }
        }
    }
}

fn write_stdout(lines: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(lines)?;
    stdout.flush()
}

impl Sink for Lines {
    async fn send(&mut self, batch: &[Item]) -> Result<Taken, Refused> {
        let mut lines = Vec::new();
        for item in batch {
            lines.extend_from_slice(&format::line(item, self.target.format));
            lines.push(b'\n');
        }
        let (reply, answer) = oneshot::channel();
        let gone = || io::Error::other("the writing thread has ended");
        let sent = self.jobs().and_then(|jobs| jobs.send((lines, reply)).map_err(|_| gone()));
        let written = match sent {
            Ok(()) => answer.await.unwrap_or_else(|_| Err(gone())),
            Err(error) => Err(error),
        };
        written.map(|()| Taken::default()).map_err(|error| {
            let path = self.target.path.as_ref().map(|path| path.display().to_string());
            let why = match path {
                None => operation::export_stdout_failed(error.to_string()),
                Some(path) if error.kind() == io::ErrorKind::InvalidInput && error.raw_os_error().is_none() => {
                    operation::export_not_a_file(path)
                }
                Some(path) => operation::export_write_failed(path, error.to_string()),
            };
            Refused::new(Remedy::RETRY, why)
        })
    }
}
