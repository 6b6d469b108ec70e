//! The image of a container could not be had.

use coroner_proto::v1::{Cause, Confidence};

use super::{Finding, PodCase, waiting};
use crate::{aspect::Aspect, text, verdict::Verdict};

pub(super) fn findings(case: PodCase<'_>) -> Vec<Finding> {
    waiting(case)
        .filter_map(|(status, reason, message)| {
            let pulling = matches!(reason, "ErrImagePull" | "ImagePullBackOff" | "RegistryUnavailable");
            let cause = match reason {
                "ErrImageNeverPull" => Cause::ImageNeverPull,
                "InvalidImageName" => Cause::ImageNameInvalid,
                _ if pulling => refusal(message)?,
                _ => return None,
            };
            let (summary, explanation) = words(cause);
            let image = case.pod.container(&status.name).map_or(&status.image, |wanted| &wanted.image);
            let at = case.since(&status.name);
            let mut verdict = Verdict::new(cause, Confidence::Certain, at)
                .not_fatal()
                .told(
                    summary,
                    format!(
                        "{explanation} Image: {}. {}",
                        text::clean(image, 256),
                        text::clean(innermost(message), 768)
                    ),
                )
                .by(case.file.teller(), at, format!("waiting, {reason}: {message}"));
            for known in case.events("Failed", &status.name).filter(|known| known.event.message.contains("pull")) {
                verdict = verdict.by(known.source(), known.times.last().copied().unwrap_or(at), known.said());
            }
            Some(Finding { aspect: Aspect::Start { container: status.name.clone() }, verdict, ripe: at })
        })
        .collect()
}

/// Why a registry, or the way to it, refused. The runtimes pass its answer on in words only: containerd and CRI-O use
/// the same library's for status codes, Go's for the network. `None` while the message says nothing of a failure yet.
fn refusal(message: &str) -> Option<Cause> {
    // A back-off repeats the failure before it behind its own words, or says nothing more.
    let message = innermost(message);
    if message.is_empty() || message.starts_with("Back-off pulling image") && !message.contains(": ") {
        return None;
    }
    let lower = without_names(message).to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    let is_code = |word: &str, code: &str| word.trim_matches(|c: char| !c.is_ascii_alphanumeric()) == code;
    let status = |codes: &[&str]| lower.split(' ').any(|word| codes.iter().any(|code| is_code(word, code)));
    let throttled = ["too many requests", "toomanyrequests", "rate limit", "pull qps exceeded"];
    Some(if status(&["429"]) || says(&throttled) {
        Cause::ImagePullThrottled
    } else if says(&[
        "no match for platform",
        "does not match the specified platform",
        "no image found in image index",
        "exec format",
    ]) {
        Cause::ImagePlatformMismatch
    } else if status(&["401", "403"])
        || says(&[
            "unauthorized",
            "forbidden",
            "access denied",
            "authorization failed",
            "authentication required",
            "no basic auth credentials",
            "denied:",
            "insufficient_scope",
        ])
    {
        Cause::ImageUnauthorized
    } else if status(&["500", "502", "503", "504"])
        || says(&[
            "no such host",
            "connection refused",
            "no route to host",
            "network is unreachable",
            "i/o timeout",
            "tls: ",
            "x509: ",
            "connection reset",
            "server gave http response",
            "server misbehaving",
            ": eof",
            "proxyconnect",
            "internal server error",
            "bad gateway",
            "service unavailable",
            "gateway time-out",
            "temporary failure in name resolution",
            "malformed http response",
            "tls handshake timeout",
        ])
    {
        Cause::ImageRegistryUnreachable
    } else if status(&["404"]) || says(&["not found", "manifest unknown", "name unknown", "repository does not exist"])
    {
        Cause::ImageNotFound
    } else if says(&["deadline exceeded", "context canceled", "progress deadline", "timed out", "timeout"]) {
        Cause::ImagePullTimeout
    } else {
        Cause::ImageRegistryUnreachable
    })
}

fn words(cause: Cause) -> (&'static str, &'static str) {
    match cause {
        Cause::ImageNeverPull => (
            "Cannot start: its image is not on the node and must not be pulled",
            "imagePullPolicy is Never and the node does not have the image.",
        ),
        Cause::ImageNameInvalid => (
            "Cannot start: the name of its image is not valid",
            "The name does not follow the rules for image references.",
        ),
        Cause::ImagePullThrottled => {
            ("Cannot start: the registry limits pulls", "The registry refused the pull because there were too many.")
        }
        Cause::ImagePlatformMismatch => (
            "Cannot start: its image is not for this node's platform",
            "The image has no variant for this operating system and processor.",
        ),
        Cause::ImageUnauthorized => (
            "Cannot start: the registry denies access to its image",
            "The registry asks for credentials, or refuses those that it got. Some registries say so also of what \
             does not exist.",
        ),
        Cause::ImageNotFound => (
            "Cannot start: its image does not exist in the registry",
            "The registry answered that it has no such repository or tag.",
        ),
        Cause::ImagePullTimeout => {
            ("Cannot start: pulling its image took too long", "The pull was given up before it was complete.")
        }
        _ => (
            "Cannot start: the registry of its image cannot be reached or does not work",
            "The pull failed on the way to the registry, or the registry failed itself.",
        ),
    }
}

/// Without URLs, image references and whatever else is named in it: whoever chose a name may not choose the cause with it.
fn without_names(message: &str) -> String {
    let is_name = |word: &str| word.starts_with(['"', '\'', '`']) || word.contains('/') && !word.starts_with("i/o");
    let kept = message.split_whitespace().map(|word| match word {
        word if !is_name(word) => word,
        word if word.ends_with(':') => ":",
        _ => "",
    });
    kept.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Behind the words of those who passed it on.
fn innermost(message: &str) -> &str {
    let message = ["ErrImagePull: ", "RegistryUnavailable: "]
        .iter()
        .find_map(|mark| message.find(mark).map(|start| &message[start + mark.len()..]))
        .unwrap_or(message);
    let start = ["failed to resolve image: ", "failed to resolve reference ", "failed to copy: "]
        .iter()
        .filter_map(|mark| message.rfind(mark).map(|at| at + mark.len()))
        .max();
    start.map_or(message, |start| &message[start..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_apart_why_a_pull_failed() {
        for (message, cause) in [
            (
                "rpc error: code = NotFound desc = failed to pull and unpack image \"r/a:9\": failed to resolve \
                 reference \"r/a:9\": r/a:9: not found",
                Cause::ImageNotFound,
            ),
            (
                "failed to resolve image: unexpected status from HEAD request to http://r/v2/a/manifests/1: 403 \
                 Forbidden",
                Cause::ImageUnauthorized,
            ),
            (
                "failed to resolve image: pull access denied, repository does not exist or may require authorization: \
                 authorization failed: no basic auth credentials",
                Cause::ImageUnauthorized,
            ),
            (
                "failed to resolve reference \"r.example/denied:/forbidden-401:429\": r.example/forbidden-401:429: not found",
                Cause::ImageNotFound,
            ),
            ("failed to do request: Head \"https://r/v2/429/\": EOF", Cause::ImageRegistryUnreachable),
            ("reading manifest 7 in r.example/a: StatusCode: 403, \"<html>\"", Cause::ImageUnauthorized),
            ("toomanyrequests: You have reached your pull rate limit", Cause::ImagePullThrottled),
            (
                "failed to do request: Head \"https://r/v2/\": dial tcp: lookup r on 10.0.0.10:53: no such host",
                Cause::ImageRegistryUnreachable,
            ),
            (
                "failed to do request: Head \"https://r/v2/\": dial tcp 10.0.0.1:443: i/o timeout",
                Cause::ImageRegistryUnreachable,
            ),
            (
                "failed to do request: Head \"https://r/v2/\": http: server gave HTTP response to HTTPS client",
                Cause::ImageRegistryUnreachable,
            ),
            ("no match for platform in manifest: not found", Cause::ImagePlatformMismatch),
            ("Back-off pulling image \"r/a:9\": ErrImagePull: r/a:9: not found", Cause::ImageNotFound),
            ("context deadline exceeded", Cause::ImagePullTimeout),
        ] {
            assert_eq!(refusal(message), Some(cause), "{message}");
        }
        assert_eq!(refusal("Back-off pulling image \"r/a:9\""), None);
    }
}
