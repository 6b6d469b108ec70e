//! The page's own files, from the program.

use std::sync::LazyLock;

use axum::{
    extract::Path,
    http::{
        StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE},
    },
    response::{IntoResponse, Response},
};

/// Name, type and content.
const FILES: [(&str, &str, &str); 3] = [
    ("page.css", "text/css; charset=utf-8", include_str!("assets/page.css")),
    ("page.js", "text/javascript; charset=utf-8", include_str!("assets/page.js")),
    ("icon.svg", "image/svg+xml", include_str!("assets/icon.svg")),
];

/// Stands in the files' addresses, so that a browser keeps them until they are others.
pub(super) static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut hasher = crc32fast::Hasher::new();
    for (_, _, content) in FILES {
        hasher.update(content.as_bytes());
    }
    format!("{:08x}", hasher.finalize())
});

/// The URL path of a file, with the version in it.
pub(super) fn address(name: &str) -> String {
    format!("/assets/{}/{name}", *VERSION)
}

/// Serves one of the embedded files.
pub(super) async fn serve(Path((version, name)): Path<(String, String)>) -> Response {
    let file = FILES.iter().find(|(known, _, _)| *known == name);
    match file.filter(|_| version == *VERSION) {
        Some((_, kind, content)) => {
            let keep = "public, max-age=31536000, immutable";
            ([(CONTENT_TYPE, *kind), (CACHE_CONTROL, keep)], *content).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
