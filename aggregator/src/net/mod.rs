//! Connections from outside: accepted, encrypted, served.

mod acceptor;
mod connection;
mod endpoint;
mod expiry;
mod listener;
mod serve;
mod tls;
mod web;

pub use self::{
    acceptor::Acceptor,
    endpoint::Endpoint,
    expiry::expire_time,
    listener::Listener,
    serve::{ServeError, Served, serve},
    tls::{Expiry, Files as TlsFiles, Tls},
    web::{Web, serve as serve_web},
};
