//! Connections from outside: accepted, encrypted, served.

mod acceptor;
mod connection;
mod endpoint;
mod listener;
mod serve;
mod tls;

pub use self::{
    acceptor::Acceptor,
    endpoint::{Endpoint, Invalid as InvalidEndpoint},
    listener::{Error, Listener},
    serve::{ServeError, Served, serve},
    tls::{Error as TlsError, Files as TlsFiles, Tls},
};
