//! Readers of the whole feed, all at once.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use coroner_proto::v1::WatchDiagnosesRequest;
use coroner_proto::v1::watch_diagnoses_request::Start;
use coroner_proto::v1::watch_diagnoses_response::Frame;
use futures::future::try_join_all;

use super::Aggregator;

/// A second, of all readers together.
pub(super) struct Rate {
    pub(super) frames: f64,
    pub(super) diagnoses: f64,
}

pub(super) async fn measure(aggregator: &Aggregator, readers: usize, stored: u64) -> Result<Rate> {
    let clients = try_join_all((0..readers).map(|_| aggregator.feed())).await?;
    let started = Instant::now();
    let tasks = clients.into_iter().map(|mut client| {
        tokio::spawn(async move {
            let request =
                WatchDiagnosesRequest { start: Some(Start::FromOldest(true)), stop_at_end: true, ..Default::default() };
            let mut stream = client.watch_diagnoses(request).await.context("WatchDiagnoses")?.into_inner();
            let (mut frames, mut diagnoses) = (0_u64, 0_u64);
            while let Some(response) = stream.message().await.context("reading the feed")? {
                frames += 1;
                if let Some(Frame::Batch(batch)) = response.frame {
                    diagnoses += batch.diagnoses.len() as u64;
                }
            }
            anyhow::Ok((frames, diagnoses))
        })
    });
    let (mut frames, mut diagnoses) = (0, 0);
    for read in try_join_all(tasks.collect::<Vec<_>>()).await.context("a reader's task")? {
        let (of_frames, of_diagnoses) = read?;
        ensure!(of_diagnoses == stored, "a reader was given {of_diagnoses} of {stored} diagnoses");
        frames += of_frames;
        diagnoses += of_diagnoses;
    }
    let seconds = started.elapsed().as_secs_f64();
    Ok(Rate { frames: frames as f64 / seconds, diagnoses: diagnoses as f64 / seconds })
}
