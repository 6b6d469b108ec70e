//! Outgoing connections: everything that this program connects to by itself, and the URLs and files that configure it.

pub(crate) mod api_server;
mod file;
pub(crate) mod grpc;
pub(crate) mod nats;
pub(crate) mod tcp;
mod tls;
mod url;

pub(crate) use self::{
    file::UnusableFile,
    tls::Tls,
    url::{Host, Options},
};
