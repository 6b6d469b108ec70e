//! Text that may have been chosen by whoever runs containers: made fit for terminals, pages and logs, and cut to size.

/// The text with control characters (and what turns the direction of text) escaped as `\n`, `\u{1b}` …, cut to at most
/// `max_bytes` with an ellipsis.
pub fn clean(text: &str, max_bytes: usize) -> String {
    let mut out = String::with_capacity(text.len().min(max_bytes));
    for c in text.chars() {
        let escaped = is_unsafe(c);
        let length = if escaped { c.escape_default().map(char::len_utf8).sum() } else { c.len_utf8() };
        if out.len() + length > max_bytes.saturating_sub('…'.len_utf8()) && out.len() + length + 3 > max_bytes {
            out.push('…');
            break;
        }
        if escaped {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// Whether a character could drive a terminal, end a line, or disguise what it stands in.
pub fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}
