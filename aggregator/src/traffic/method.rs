//! What a method of a service is, before anything of a request to it is read.

use crate::auth::Right;

/// What a gRPC method demands of its caller, and how its messages are bounded.
#[derive(Clone, Copy, Debug)]
pub struct Method {
    /// What its caller must be allowed to do.
    pub right: Right,
    /// The message that a request consists of.
    pub request: Request,
    /// Whether the answer is a stream, which the service itself bounds.
    pub streams: bool,
}

/// The message that a request consists of.
#[derive(Clone, Copy, Debug)]
pub enum Request {
    /// One message.
    One {
        /// Its full name, as `.coroner.v1.Diagnosis`.
        message: &'static str,
        /// Bytes of it at most.
        bytes: usize,
    },
    /// Nothing: a body is not read.
    Nothing,
    /// A stream of messages, which the service itself bounds.
    Stream,
}

/// The methods that are served, by path.
pub type Methods = fn(path: &str) -> Option<Method>;
