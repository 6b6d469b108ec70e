//! URLs: passwords before the host, and what in paths and queries opens something.

use std::ops::Range;

use super::{MARK, shape::Shape};

static URL: Shape = Shape::new(&["://"], || r#"[a-zA-Z][a-zA-Z0-9+.-]{0,30}://(?P<rest>[^\s"'<>`|]+)"#.to_owned());
/// Addresses whose path is a secret, from behind the host on.
static WEBHOOK: Shape = Shape::new(&[".com/", ".cn/", ".org/"], || {
    let hooks = [
        r"hooks\.slack\.com/(?:services|workflows|triggers)/",
        r"discord(?:app)?\.com/api/webhooks/",
        r"api\.telegram\.org/bot",
        r"[a-z0-9.-]*webhook\.office\.com/webhookb2/",
        r"oapi\.dingtalk\.com/robot/send\?access_token=",
        r"open\.(?:feishu\.cn|larksuite\.com)/open-apis/bot/v2/hook/",
        r"qyapi\.weixin\.qq\.com/cgi-bin/webhook/send\?key=",
        r"hooks\.zapier\.com/hooks/catch/",
        r"events\.pagerduty\.com/integration/",
    ];
    format!(r#"(?:{})(?P<secret>[^\s"'<>]+)"#, hooks.join("|"))
});
/// Parameters of a query that open something. Longer names come from the rule for names.
static QUERY: Shape = Shape::new(&["?", "&"], || {
    let name = r"(?i:[a-z0-9_.-]*(?:token|secret|password|passwd|pwd|signature|credential|api_?key|access_?key|auth)|sig|pass|pw|key|code|jwt|sas)";
    format!(r#"[?&]{name}=(?P<secret>[^\s&"'<>#]{{6,}})"#)
});

pub(super) fn find(text: &str) -> Vec<Range<usize>> {
    let mut secrets = Vec::new();
    for shape in [&QUERY, &WEBHOOK].into_iter().filter_map(|shape| shape.of(text)) {
        secrets.extend(shape.captures_iter(text).filter_map(|found| Some(found.name("secret")?.range())));
    }
    for found in URL.of(text).into_iter().flat_map(|shape| shape.captures_iter(text)) {
        let Some(rest) = found.name("rest") else { continue };
        secrets.extend(user_info(rest.as_str()).map(|secret| rest.start() + secret.start..rest.start() + secret.end));
    }
    secrets.sort_by_key(|secret| (secret.start, std::cmp::Reverse(secret.end)));
    secrets
}

/// The password in `user:password@host…`, or the token in `token@host…`. A password may hold any character, though it
/// should not.
fn user_info(rest: &str) -> Option<Range<usize>> {
    if rest.starts_with(MARK) {
        return None;
    }
    let authority = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let end = match rest[..authority].rfind('@') {
        Some(at) => at,
        None => {
            // What follows a port is no password.
            let (_, port) = rest[..authority].split_once(':')?;
            if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            rest.rfind('@')?
        }
    };
    match rest[..end].find(':') {
        Some(colon) => Some(colon + 1..end),
        None if end >= 16 && rest[..end].bytes().any(|byte| byte.is_ascii_digit()) => Some(0..end),
        None => None,
    }
}
