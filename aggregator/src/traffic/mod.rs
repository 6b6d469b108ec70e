//! What requests and answers may take: nothing of a request is read before its caller may ask for it, nothing is
//! decoded before it is measured, and what an answer holds it holds until it is sent. Every bound has a share for one
//! caller, and comes from the [budget](crate::budget).

mod answer;
mod decoded;
mod layer;
mod method;
mod pool;
mod upload;

pub use self::{
    layer::{Bounded, Traffic},
    method::{Method, Methods, Request},
};

/// Bytes that the lists of a message of this name take when it is decoded, beside their texts; none for what cannot be
/// decoded or is not described.
pub fn list_bytes(message: &str, body: &[u8]) -> Option<u64> {
    decoded::shape(message)?.list_bytes(body)
}
