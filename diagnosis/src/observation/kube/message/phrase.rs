//! How the texts of Go programs are built: a chain of causes `a: b: c`, names in quotes or at fixed places, lists in
//! brackets. What is in quotes is never compared with a phrase.

/// The links of `a: b "x: y": c`, in order. A colon inside quotes (`"` and `` ` ``) does not divide.
pub(super) fn chain(text: &str) -> Vec<&str> {
    let mut links = Vec::new();
    let (mut start, mut at) = (0, 0);
    while let Some(byte) = text.as_bytes().get(at) {
        at = match byte {
            b'"' | b'`' => end_of_quote(text, at),
            b':' if text[at + 1..].starts_with(|c: char| c.is_whitespace()) => {
                links.push(text[start..at].trim());
                start = at + 1;
                start
            }
            _ => at + 1,
        };
    }
    links.push(text[start..].trim());
    links.retain(|link| !link.is_empty());
    links
}

/// The parts of a list, divided by `, ` outside quotes, braces and brackets.
pub(super) fn list(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut at, mut depth) = (0, 0, 0_u32);
    while let Some(byte) = text.as_bytes().get(at) {
        let next = match byte {
            b'"' | b'`' => end_of_quote(text, at),
            _ => at + 1,
        };
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            b',' if depth == 0 && text[next..].starts_with(' ') => {
                parts.push(text[start..at].trim());
                start = next;
            }
            _ => {}
        }
        at = next;
    }
    parts.push(text[start..].trim());
    parts.retain(|part| !part.is_empty());
    parts
}

/// The first sentence of a text: up to a period before a space, outside quotes; without the period.
pub(super) fn sentence(text: &str) -> (&str, &str) {
    let mut at = 0;
    while let Some(byte) = text.as_bytes().get(at) {
        at = match byte {
            b'"' | b'`' => end_of_quote(text, at),
            b'.' if text[at + 1..].is_empty() || text[at + 1..].starts_with(' ') => {
                return (text[..at].trim(), text[at + 1..].trim());
            }
            _ => at + 1,
        };
    }
    (text.trim(), "")
}

/// Whether a text is this phrase as a whole. In the phrase `{}` stands for a name (one word, or what is in quotes) and
/// `{*}` for anything.
pub(super) fn is(text: &str, phrase: &str) -> bool {
    names(text, phrase).is_some()
}

/// Whether a text is one of these phrases as a whole.
pub(super) fn is_any(text: &str, phrases: &[&str]) -> bool {
    phrases.iter().any(|phrase| is(text, phrase))
}

/// What stands at the places of `{}` and `{*}` of a phrase, quotes included. `None` if the text is another one.
pub(super) fn names<'t>(text: &'t str, phrase: &str) -> Option<Vec<&'t str>> {
    let (literal, open, rest) = match phrase.find('{') {
        Some(at) if phrase[at..].starts_with("{}") => (&phrase[..at], Some(false), &phrase[at + 2..]),
        Some(at) if phrase[at..].starts_with("{*}") => (&phrase[..at], Some(true), &phrase[at + 3..]),
        _ => (phrase, None, ""),
    };
    let text = text.strip_prefix(literal)?;
    let Some(anything) = open else { return text.is_empty().then(Vec::new) };
    let next = rest.split('{').next().unwrap_or(rest);
    let longest = match text.bytes().next() {
        _ if anything => text.len(),
        Some(b'"' | b'`') => end_of_quote(text, 0),
        _ => text.find(char::is_whitespace).unwrap_or(text.len()),
    };
    let quoted = !anything && text.starts_with(['"', '`']);
    let ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
    let mut ends = ends.filter(|end| *end <= longest && (anything || *end > 0) && (!quoted || *end == longest));
    ends.find_map(|end| {
        if next.is_empty() && rest.is_empty() && end != text.len() || !text[end..].starts_with(next) {
            return None;
        }
        let mut found = names(&text[end..], rest)?;
        found.insert(0, &text[..end]);
        Some(found)
    })
}

/// A name without the quotes around it.
pub(super) fn bare(name: &str) -> &str {
    let inner = |quote: char| name.strip_prefix(quote)?.strip_suffix(quote);
    inner('"').or_else(|| inner('`')).unwrap_or(name)
}

/// The text that Go quoted with `%q`, or JSON: `"exec: \"sh\": not found"` is `exec: "sh": not found`. `None` if the
/// text does not begin with such a quote.
pub(super) fn unquoted(text: &str) -> Option<String> {
    let end = end_of_quote(text, 0);
    let inner = text.starts_with('"').then(|| text[..end].strip_prefix('"')?.strip_suffix('"')).flatten()?;
    let mut out = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match (c, if c == '\\' { chars.next() } else { None }) {
            ('\\', Some('n')) => out.push('\n'),
            ('\\', Some('t')) => out.push('\t'),
            ('\\', Some(escaped)) => out.push(escaped),
            _ => out.push(c),
        }
    }
    Some(out)
}

/// Where the quote that opens at a byte is closed; the next byte if it is not.
fn end_of_quote(text: &str, open: usize) -> usize {
    let bytes = text.as_bytes();
    let quote = bytes.get(open);
    let mut at = open + 1;
    while let Some(byte) = bytes.get(at) {
        at += 1;
        if *byte == b'\\' {
            at += 1;
        } else if Some(byte) == quote {
            return at;
        }
    }
    open + 1
}

/// The same without what others put before it: repetitions that the event recorder joined, and the kubelet's `Error: `.
/// `k8s.io/client-go/tools/record/events_cache.go`, `pkg/kubelet/kuberuntime/kuberuntime_container.go`.
pub(super) fn bare_message(text: &str) -> &str {
    let text = text.trim();
    let text = text.strip_prefix("(combined from similar events): ").unwrap_or(text);
    text.strip_prefix("Error: ").unwrap_or(text).trim()
}

/// Strips gRPC's `rpc error: code = Unknown desc = ` (`google.golang.org/grpc/status`) from the front of a chain.
pub(super) fn without_rpc<'t>(mut links: Vec<&'t str>) -> Vec<&'t str> {
    while let [first, second, ..] = links[..]
        && first == "rpc error"
        && let Some([_, rest]) =
            names(second, "code = {} desc = {*}").and_then(|found| <[&'t str; 2]>::try_from(found).ok())
    {
        links.remove(0);
        if rest.is_empty() {
            links.remove(0);
        } else {
            links[0] = rest;
        }
    }
    links
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn colons_in_quotes_and_urls_do_not_divide() {
        assert_eq!(chain(r#"a "x: y": b https://r/v2/: c"#), [r#"a "x: y""#, "b https://r/v2/", "c"]);
        assert_eq!(chain(r#"exec: "a\": b": c"#), ["exec", r#""a\": b""#, "c"]);
        assert_eq!(chain(r#"open "never closed: c"#), [r#"open "never closed"#, "c"]);
        assert_eq!(chain(r#"failed for volume "x" : gone"#), [r#"failed for volume "x""#, "gone"]);
    }

    #[test]
    fn a_phrase_is_compared_as_a_whole_and_names_are_left_out() {
        assert!(is(r#"secret "a b" not found"#, "secret {} not found"));
        assert!(is("secret x not found", "secret {} not found"));
        assert!(!is("secret x y not found", "secret {} not found"));
        assert!(!is("secret x not found in y", "secret {} not found"));
        assert_eq!(names("taint {a: b}", "taint {*}"), Some(vec!["{a: b}"]));
        assert_eq!(names("status 404 (Not Found)", "status {} ({*})"), Some(vec!["404", "Not Found"]));
        assert_eq!(names("lookup r on 10.0.0.1:53", "lookup {} on {}"), Some(vec!["r", "10.0.0.1:53"]));
    }

    #[test]
    fn what_was_quoted_is_read_again() {
        let text = r#""process_linux.go:446: caused \"exec: \\\"sh\\\": not found\"""#;
        assert_eq!(unquoted(text).unwrap(), r#"process_linux.go:446: caused "exec: \"sh\": not found""#);
        assert_eq!(unquoted("plain"), None);
        assert_eq!(unquoted("\"open"), None);
    }

    #[test]
    fn grpc_wraps_more_than_once() {
        let links = without_rpc(chain("rpc error: code = Unknown desc = rpc error: code = NotFound desc = a: b"));
        assert_eq!(links, ["a", "b"]);
    }

    proptest! {
        #[test]
        fn any_text_is_taken_apart_without_panic(text in r#"([ -~]|["`:\\{}\[\], .é\n])*"#) {
            chain(&text);
            list(&text);
            sentence(&text);
            unquoted(&text);
            names(&text, "a {} b {*}: {}");
            without_rpc(chain(&text));
        }
    }
}
