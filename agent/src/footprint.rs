//! What the agent keeps in memory at rest: not what only its start needed, or a fault of an hour ago.

use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// Until the start is over: everything has been listed.
const START: Duration = Duration::from_secs(30);
/// What has been mapped since then is given back so often. To map again what is in use takes a millisecond.
const PERIOD: Duration = Duration::from_hours(1);

/// Gives back what is not in use now: after much was read that will not be read again soon.
pub(crate) fn release() {
    coroner_sys::release_free_memory();
    coroner_sys::release_program_pages();
}

/// Gives back what is not in use, again and again.
pub(crate) async fn run(stop: CancellationToken) {
    let giving_back = async {
        sleep(START).await;
        loop {
            release();
            sleep(PERIOD).await;
        }
    };
    stop.run_until_cancelled(giving_back).await.unwrap_or(())
}
