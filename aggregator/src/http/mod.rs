//! The page for people: the feed and its queries, drawn for a quick overview.
//!
//! It reads only. Who asks, what they may see, and what their requests may take is decided by the same code as for
//! gRPC; the routes here make pages, JSON and text of what the services give. Every text from elsewhere is escaped by
//! the templates, and no answer lets a browser load or run what is not of this program.

mod answer;
mod assets;
mod chart;
mod death;
mod events;
mod facts;
mod find;
mod headers;
mod layout;
mod login;
mod messages;
mod node;
mod nodes;
mod overview;
mod parts;
mod pressure;
mod question;
mod session;
mod text;
mod timeline;
mod view;
mod words;
mod workload;

use std::{sync::Arc, time::Instant};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::header::AUTHORIZATION,
    middleware,
    response::Response,
    routing::{get, post},
};
use tonic::{codegen::Service as _, service::Routes};
use tower_http::compression::CompressionLayer;
use tower_layer::Layer as _;

use self::{headers::OnlyLocalNames, login::Login, session::Sessions, view::View};
use crate::{
    auth::{Authentication, Right},
    feed::Feed,
    query::Queries,
    status::Status,
    traffic::{Method, Request as Expected, Traffic},
};

/// Where the pages get what they show.
#[derive(Clone, Debug)]
pub struct Sources {
    /// The streams of new records.
    pub feed: Feed,
    /// Lists and single diagnoses.
    pub queries: Queries,
    /// The state of the aggregator and of the nodes.
    pub status: Status,
}

type Shared = Arc<Sources>;

/// The stream of what is new.
const EVENTS: &str = "/events";

/// The method at a path: pages take no body.
fn method(path: &str) -> Option<Method> {
    let is_page = path == "/" || path == EVENTS || ["/d/", "/node/", "/workload/"].iter().any(|p| path.starts_with(p));
    is_page.then_some(Method { right: Right::Read, request: Expected::Nothing, streams: path == EVENTS })
}

/// All routes. With `is_local`, the listener is open to every user of this machine, without credentials.
pub fn routes(sources: Sources, authentication: Authentication, traffic: &Traffic, is_local: bool) -> Router {
    let pages = Router::new()
        .route("/", get(overview::show))
        .route("/d/{uid}", get(death::show))
        .route("/node/{name}", get(node::show))
        .route("/workload/{namespace}/{kind}/{name}", get(workload::show))
        .route(EVENTS, get(events::stream))
        .layer(CompressionLayer::new())
        .with_state(Arc::new(sources));
    let sessions = Sessions::default();
    let pages = authentication.layer(traffic.of(method).layer(Routes::from(pages).prepare()));
    let guarded = Guarded { pages, takes_tokens: authentication.takes_tokens(), sessions: sessions.clone() };
    let signing = Router::new()
        .route(login::SIGN_IN, get(login::form).post(login::sign_in))
        .route(login::SIGN_OUT, post(login::sign_out))
        .with_state(Login::new(authentication, sessions));
    let files = Router::new().route("/assets/{version}/{name}", get(assets::serve)).layer(CompressionLayer::new());
    Router::new()
        .merge(signing)
        .merge(files)
        .fallback(ask)
        .with_state(guarded)
        .layer(middleware::from_fn_with_state(OnlyLocalNames(is_local), headers::check))
}

type Pages = crate::auth::Authenticated<crate::traffic::Bounded<Routes>>;

/// The pages behind authentication and bounds.
#[derive(Clone, Debug)]
struct Guarded {
    pages: Pages,
    takes_tokens: bool,
    sessions: Sessions,
}

/// Requests a page on behalf of the caller that the connection, the headers or the session name.
async fn ask(State(guarded): State<Guarded>, mut request: Request) -> Response {
    let Guarded { mut pages, takes_tokens, sessions } = guarded;
    if !request.headers().contains_key(AUTHORIZATION)
        && let Some(token) = sessions.token(request.headers(), Instant::now())
        && let Ok(mut header) = format!("Bearer {token}").parse::<axum::http::HeaderValue>()
    {
        header.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, header);
        request.extensions_mut().insert(view::HasSession);
    }
    let (parts, body) = request.into_parts();
    let view = View::of(&parts);
    let request = Request::from_parts(parts, tonic::body::Body::new(body));
    let answer = pages.call(request).await.unwrap_or_else(|never| match never {});
    answer::present(answer.map(Body::new), &view, takes_tokens)
}
