//! A panic as a value.

use std::{
    any::Any,
    error::Error,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
};

use futures::FutureExt as _;

/// A task panicked, with this message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Panicked(String);

impl Panicked {
    fn new(payload: &(dyn Any + Send)) -> Self {
        let text =
            payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        Self(text.unwrap_or("no message").to_owned())
    }

    /// The message of the panic alone.
    pub fn message(&self) -> &str {
        &self.0
    }

    /// Runs something that may panic. Whatever it has left half done is not looked at again by the caller, or holds by
    /// itself.
    pub(super) fn catch<T>(run: impl FnOnce() -> T) -> Result<T, Self> {
        catch_unwind(AssertUnwindSafe(run)).map_err(|payload| Self::new(&*payload))
    }
}

impl fmt::Display for Panicked {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "it panicked: {}", self.0)
    }
}

impl Error for Panicked {}

/// The outcome of a future that may panic.
///
/// # Errors
/// If it panicked.
pub async fn caught<R: Future>(future: R) -> Result<R::Output, Panicked> {
    AssertUnwindSafe(future).catch_unwind().await.map_err(|payload| Panicked::new(&*payload))
}
