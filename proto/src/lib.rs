//! Coroner's wire: the messages and services of `coroner.v1`, generated from the `.proto` files beside this crate, and
//! their proto3 JSON. Nothing else.

#[cfg(feature = "json")]
pub mod json;

/// Version 1 of the wire.
#[allow(
    missing_docs,
    clippy::all,
    clippy::pedantic,
    clippy::or_fun_call,
    reason = "generated; the documentation is in the .proto files"
)]
pub mod v1 {
    include!(concat!(env!("OUT_DIR"), "/coroner.v1.rs"));
}

/// The encoded `FileDescriptorSet` of all of `coroner.v1`, for reflection and proto3 JSON.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
