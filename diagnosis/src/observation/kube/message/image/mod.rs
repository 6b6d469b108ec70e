//! Why an image could not be had, in the words of the runtimes and of the registries that they pass on.
//!
//! A chain of causes, of which each link is compared as a whole; the most specific one that is known decides. Phrases:
//! containerd `core/remotes/docker`, `core/unpack`, `core/content`, `core/images`; CRI-O's `containers/image` `docker`,
//! `copy`, `internal/manifest`, `pkg/shortnames`, `storage`; dockerd `distribution`; Go's net, net/http, crypto/tls;
//! the error codes of the distribution specification; the kubelet's `pkg/kubelet/images`.

mod phrases;

use std::borrow::Cow;

use self::phrases::{
    ARRIVING, AUTHORIZATION, FORMAT, NAME, NODE, NOT_FOUND, PLATFORM, POLICY, PROXY, STORAGE, THROTTLE, TIME,
    TRANSPORT, UNPACK,
};
use super::phrase::{bare, bare_message, chain, is_any, list, names, without_rpc};

/// Why an image could not be obtained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Failure {
    /// The pull was given up.
    TimedOut,
    /// The registry does not have it.
    NotFound,
    /// The registry asks for credentials, or refuses those that it got.
    Unauthorized,
    /// The way to the registry, or the registry itself, is broken.
    Unreachable,
    /// Too many pulls.
    Throttled,
    /// Fetched, and this node could not store or unpack it.
    Unpack,
    /// A kind of manifest or layer that the runtime does not know.
    Format,
    /// Not for this platform.
    Platform,
    /// A policy refused it.
    Policy,
    /// The name cannot be resolved.
    Name,
}

/// A message about an image pull, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pull<'m> {
    /// The image reference, if the message names one.
    pub image: Option<&'m str>,
    /// Why it failed; `None` if the words are not known.
    pub failure: Option<Failure>,
    /// The text behind the prefixes of intermediate components; empty if the message only announces a delay before the
    /// next attempt.
    pub detail: &'m str,
}

/// Parses a message about a pull; what is not recognised stays empty.
pub fn pull(message: &str) -> Pull<'_> {
    let message = bare_message(message);
    let mut links = without_rpc(chain(message));
    let mut image = None;
    while let Some(first) = links.first().copied() {
        let named = NAMING.iter().find_map(|phrase| names(first, phrase));
        if named.is_none() && !is_any(first, PASSING) {
            break;
        }
        image = image.or_else(|| named.and_then(|found| found.first().copied().map(bare)));
        links.remove(0);
        links = without_rpc(links);
    }
    let detail = links.first().map_or("", |first| &message[first.as_ptr() as usize - message.as_ptr() as usize..]);
    Pull { image, failure: of_all(detail).or_else(|| failure(&chain(&of_primary(detail)))), detail }
}

/// The most specific failure of several attempts with different credentials, which the kubelet lists as
/// `[first, second]` (`apimachinery/pkg/util/errors`).
fn of_all(detail: &str) -> Option<Failure> {
    let attempts = detail.strip_prefix('[')?.strip_suffix(']')?;
    list(attempts).into_iter().filter_map(|attempt| pull(attempt).failure).max()
}

/// The error of the registry that the image's name stands for, where others were asked as well: the mirrors of
/// `containers/image` (`docker_image_src.go`: `(Mirrors also failed: [ref: error]\n[ref: error]): ref: error`), and the
/// attempt of CRI-O to read it as an artifact (`pull image err: …; artifact err: …`). What is cut off within the
/// errors of mirrors does not contain it.
fn of_primary(text: &str) -> Cow<'_, str> {
    let text = match text.find("pull image err: ").and_then(|at| Some((at, text[at..].find("; artifact err: ")?))) {
        Some((at, length)) => &text[..at + length],
        None => text,
    };
    let Some((before, mirrors)) = text.split_once("(Mirrors also failed: ") else { return Cow::Borrowed(text) };
    let mut open = 1_u32;
    let end = mirrors.find(|c| {
        open = match c {
            '(' => open + 1,
            ')' => open - 1,
            _ => open,
        };
        open == 0
    });
    let primary = end.filter(|end| mirrors[..*end].ends_with(']')).and_then(|end| mirrors[end..].strip_prefix("): "));
    let primary = primary.unwrap_or_default();
    Cow::Owned(format!("{before}{primary}"))
}

/// Links that name the image, and contain nothing else.
const NAMING: &[&str] = &[
    "Back-off pulling image {}",
    "Failed to pull image {}",
    "Failed to inspect image {}",
    "Failed to apply default image tag {}",
    "failed to pull and unpack image {}",
    "failed to pull image {}",
    "failed to resolve reference {}",
    "Container image {} is not present with pull policy of Never",
];

/// Links of those who only pass it on.
const PASSING: &[&str] = &[
    "ErrImagePull",
    "ImagePullBackOff",
    "RegistryUnavailable",
    "SignatureValidationFailed",
    "ImageInspectError",
    "InvalidImageName",
    "Error response from daemon",
    "failed to resolve image",
    "failed to copy",
    "httpReadSeeker",
    "failed open",
];

/// The most specific failure that the links name.
fn failure(links: &[&str]) -> Option<Failure> {
    let of_node = links.iter().position(|link| is_any(link, NODE));
    let links = &links[..of_node.unwrap_or(links.len())];
    let befores = || [""].iter().chain(links);
    let by_words = links.iter().zip(befores()).filter(is_of_image).filter_map(|(link, _)| known(link));
    let by_status = links.iter().zip(befores()).filter_map(|(link, before)| status(before, link));
    let failure = by_words.chain(by_status).max()?;
    // A layer is written as it arrives: what broke off on the network then is not the node's fault.
    let broke_off = || links.iter().any(|link| is_any(link, TRANSPORT));
    let stored = || links.iter().any(|link| is_any(link, STORAGE) || is_any(link, UNPACK));
    Some(if failure == Failure::Unpack && broke_off() && !stored() { Failure::Unreachable } else { failure })
}

/// Whether a link, with the one before it, is about the image: `not found` is also the kind of other errors
/// (`containerd/errdefs`), as of `lease does not exist: not found`.
fn is_of_image((link, before): &(&&str, &&str)) -> bool {
    **link != "not found" || before.is_empty() || is_reference(before)
}

/// Whether a link is the name of an image, and nothing else.
fn is_reference(link: &str) -> bool {
    let name = bare(link);
    name.contains('/') && !name.starts_with('/') && !name.contains(char::is_whitespace)
}

fn known(link: &str) -> Option<Failure> {
    let tables = [
        (Failure::Name, NAME),
        (Failure::Policy, POLICY),
        (Failure::Platform, PLATFORM),
        (Failure::Format, FORMAT),
        (Failure::Unpack, STORAGE),
        (Failure::Unpack, UNPACK),
        (Failure::Unpack, ARRIVING),
        (Failure::Throttled, THROTTLE),
        (Failure::Unreachable, TRANSPORT),
        (Failure::Unauthorized, AUTHORIZATION),
        (Failure::NotFound, NOT_FOUND),
        (Failure::TimedOut, TIME),
    ];
    let by_table = || tables.into_iter().find_map(|(failure, phrases)| is_any(link, phrases).then_some(failure));
    // containerd before 1.3: `r.example/a:9 not found`.
    let reference = || names(link, "{} not found").and_then(|found| found.first().copied());
    by_table().or_else(|| reference().filter(|name| is_reference(name)).map(|_| Failure::NotFound))
}

/// An HTTP status, behind who announces it: `unexpected status from HEAD request to https://r/v2/: 403 Forbidden`.
fn status(before: &str, link: &str) -> Option<Failure> {
    let announced = [
        "unexpected status from {} request to {}",
        "unexpected status code",
        "unexpected status code {}",
        "unexpected status code [{*}]",
        "unexpected status",
        "unexpected HTTP status",
        "received unexpected HTTP status",
        "StatusCode",
        "download failed after attempts={}",
    ];
    if is_any(before, &["Head {}", "Get {}", "Post {}"]) && PROXY.contains(&link) {
        return Some(Failure::Unreachable);
    }
    let code = if is_any(before, &announced) {
        link.split([' ', ',']).next()?
    } else {
        // These carry it themselves.
        let phrases = ["invalid status code from registry {} ({*})", "error parsing HTTP {} response body"];
        phrases.iter().find_map(|phrase| names(link, phrase))?.first().copied()?
    };
    Some(match code.parse().ok()? {
        401 | 403 => Failure::Unauthorized,
        404 | 410 => Failure::NotFound,
        412 | 451 => Failure::Policy,
        429 => Failure::Throttled,
        // 407 is a proxy's on the way.
        407 | 408 | 500..=599 => Failure::Unreachable,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn distinguishes_why_a_pull_failed() {
        use Failure::*;
        for (message, expected) in [
            (
                "rpc error: code = NotFound desc = failed to pull and unpack image \"r/a:9\": failed to resolve \
                 reference \"r/a:9\": r/a:9: not found",
                NotFound,
            ),
            (
                "failed to resolve image: unexpected status from HEAD request to http://r/v2/a/manifests/1: 403 \
                 Forbidden",
                Unauthorized,
            ),
            (
                "failed to resolve image: pull access denied, repository does not exist or may require authorization: \
                 authorization failed: no basic auth credentials",
                Unauthorized,
            ),
            (
                "failed to resolve reference \"r.example/denied:/forbidden-401:429\": r.example/forbidden-401:429: not \
                 found",
                NotFound,
            ),
            ("failed to do request: Head \"https://r/v2/429/\": EOF", Unreachable),
            ("reading manifest 7 in r.example/a: StatusCode: 403, \"<html>\"", Unauthorized),
            ("toomanyrequests: You have reached your pull rate limit", Throttled),
            (
                "failed to do request: Head \"https://r/v2/\": dial tcp: lookup r on 10.0.0.10:53: no such host",
                Unreachable,
            ),
            ("failed to do request: Head \"https://r/v2/\": dial tcp 10.0.0.1:443: i/o timeout", Unreachable),
            (
                "failed to do request: Head \"https://r/v2/\": http: server gave HTTP response to HTTPS client",
                Unreachable,
            ),
            ("no match for platform in manifest: not found", Platform),
            ("Back-off pulling image \"r/a:9\": ErrImagePull: r/a:9: not found", NotFound),
            ("context deadline exceeded", TimedOut),
            ("Requesting bearer token: invalid status code from registry 503 (Service Unavailable)", Unreachable),
            ("failed to extract layer sha256:8a: write /var/lib/x: no space left on device: unknown", Unpack),
            (
                "failed to copy: httpReadSeeker: failed open: failed to do request: Get \"https://r/v2/\": context \
                 canceled",
                TimedOut,
            ),
            ("writing blob: storing blob to file \"/var/tmp/1\": happened during read: unexpected EOF", Unreachable),
            (
                "unsupported: media type \"application/vnd.docker.distribution.manifest.v1+prettyjws\" is no longer \
                 supported since containerd v2.1, please rebuild the image as \"application/x\" or \"application/y\"",
                Format,
            ),
            ("schema 1 image manifests are no longer supported: invalid argument", Format),
            ("unexpected status from HEAD request to https://r/v2/a: 412 Precondition Failed", Policy),
            ("invalid status code from registry 404 (Not Found)", NotFound),
            ("failed to register layer: ApplyLayer exit status 1 stdout:  stderr: unexpected EOF", Unpack),
            (
                "unpack: failed to extract layer sha256:9c: lstat /data/snapshots/10382/fs/root/.gem/api%443: not a \
                 directory: unknown",
                Unpack,
            ),
            (
                "unable to pull image or OCI artifact: pull image err: initializing source docker://r/x:latest: reading \
                 manifest latest in r/x: manifest unknown; artifact err: get manifest: reading manifest latest in r/x: \
                 manifest unknown",
                NotFound,
            ),
            ("Error parsing HTTP response: invalid character: net/http: TLS handshake timeout", Unreachable),
        ] {
            assert_eq!(pull(message).failure, Some(expected), "{message}");
        }
    }

    #[test]
    fn knows_the_texts_of_other_runtimes_and_registries() {
        use Failure::*;
        for (message, expected) in [
            (
                "Error response from daemon: manifest for nginx:foo not found: manifest unknown: manifest unknown",
                NotFound,
            ),
            (
                "failed to resolve reference \"r/a:1\": failed to authorize: failed to fetch anonymous token: Get \
                 \"https://auth/token\": dial tcp: lookup auth on 10.0.0.2:53: read udp 10.0.0.3:1->10.0.0.2:53: i/o \
                 timeout",
                Unreachable,
            ),
            (
                "failed to do request: Head \"https://r/v2/\": tls: first record does not look like a TLS handshake",
                Unreachable,
            ),
            ("unexpected status from HEAD request to https://r/v2/a: 407 Proxy Authentication Required", Unreachable),
            ("unexpected status code [manifests 1.0]: 401 Unauthorized", Unauthorized),
            (
                "failed to copy: httpReadSeeker: failed open: unexpected status code https://r/v2/a/blobs/x: 500 Internal \
                 Server Error - Server message: unknown: unknown error",
                Unreachable,
            ),
            (
                "Error response from daemon: error parsing HTTP 403 response body: invalid character '<' looking for \
                 beginning of value: \"<html>\"",
                Unauthorized,
            ),
            (
                "reading blob sha256:1: fetching blob: received unexpected HTTP status: 503 Service Unavailable",
                Unreachable,
            ),
            (
                "failed to unpack image on snapshotter overlayfs: unexpected media type text/html for sha256:1: not found",
                Format,
            ),
            ("failed to extract layer sha256:1: archive/tar: invalid tar header: unknown", Unpack),
            ("denied: Permission \"artifactregistry.repositories.downloadArtifacts\" denied on resource", Unauthorized),
            ("copying config: image pull failed for r/a because the registry is unavailable.", Unreachable),
            ("failed to register layer: devmapper: Thin Pool has 27 free data blocks", Unpack),
            ("rpc error: code = DeadlineExceeded desc = context deadline exceeded", TimedOut),
            ("429 Too Many Requests - Server message: toomanyrequests: Rate exceeded", Throttled),
            (
                "Error response from daemon: no matching manifest for windows/amd64 10.0.17763 in the manifest list \
                 entries",
                Platform,
            ),
            (
                "parsing image configuration: unsupported image-specific operation on artifact with type \
                 \"application/vnd.cncf.helm.config.v1+json\"",
                Format,
            ),
        ] {
            assert_eq!(pull(message).failure, Some(expected), "{message}");
        }
    }

    #[test]
    fn what_mirrors_answered_decides_nothing() {
        use Failure::*;
        let mirrors = "(Mirrors also failed: [m1/a:1: pinging container registry m1: Get \"https://m1/v2/\": dial tcp: \
                       lookup m1 on 10.0.0.1:53: no such host]\n[m2/a:1: Get \"https://m2/v2/\": context deadline \
                       exceeded (Client.Timeout exceeded while awaiting headers)]): quay.io/x/a:1: ";
        for (primary, expected) in [
            ("reading manifest 1 in quay.io/x/a: unauthorized: access is not authorized", Some(Unauthorized)),
            ("reading manifest 1 in quay.io/x/a: manifest unknown", Some(NotFound)),
            ("the registry is on holiday", None),
        ] {
            let message = format!("initializing source docker://quay.io/x/a:1: {mirrors}{primary}");
            assert_eq!(pull(&message).failure, expected, "{message}");
            assert_eq!(pull(&message).detail, message);
            let message = format!("pull image err: {message}; artifact err: get manifest: dial tcp: no such host");
            assert_eq!(pull(&message).failure, expected, "{message}");
        }
        let cut = &format!("Failed to pull image \"a\": {mirrors}")[..180];
        assert_eq!(pull(cut).failure, None, "{cut}");
    }

    #[test]
    fn unknown_texts_are_no_evidence() {
        for message in [
            "the dog ate the image",
            "rpc error: code = Unavailable desc = connection error: desc = \"transport: Error while dialing: dial unix \
             /run/containerd/containerd.sock: connect: connection refused\"",
        ] {
            assert_eq!(pull(message).failure, None, "{message}");
        }
        let waits = pull("Back-off pulling image \"r/a:9\"");
        assert_eq!((waits.image, waits.detail), (Some("r/a:9"), ""));
    }

    proptest! {
        #[test]
        fn any_message_is_read_without_panic(message in r#"(rpc error: |code = |"|: |\[|[ -~é])*"#) {
            pull(&message);
        }

        #[test]
        fn the_name_of_an_image_decides_nothing(
            name in "(denied|not-found|401|429|x509|tls|dial-tcp|eof|unauthorized|no-such-host|[a-z]){1,4}(/(404|eof|[a-z]+))?",
            tag in "(429|503|not-found|latest|[a-z0-9]+)",
        ) {
            let image = format!("r.example/{name}:{tag}");
            let message = format!(
                "Failed to pull image \"{image}\": failed to pull and unpack image \"{image}\": failed to extract layer \
                 sha256:{tag}: write /{name}: no space left on device"
            );
            prop_assert_eq!(pull(&message).failure, Some(Failure::Unpack));
            prop_assert_eq!(pull(&message).image, Some(image.as_str()));
            let message = format!("failed to resolve reference \"{image}\": {image}: the registry is on holiday");
            prop_assert_eq!(pull(&message).failure, None);
        }
    }
}
