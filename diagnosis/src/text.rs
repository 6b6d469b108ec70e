//! Text that may have been chosen by the owners of containers: made fit for terminals, pages and logs, and cut to size.

const ELLIPSIS: char = '…';

/// The text with control characters (and what is invisible or turns the direction of text) escaped as `\n`, `\u{1b}` …,
/// cut to at most `max_bytes`, with an ellipsis where it fits.
pub fn clean(text: &str, max_bytes: usize) -> String {
    let mut out = String::with_capacity(text.len().min(max_bytes));
    // Where to cut so that the ellipsis still fits.
    let mut cut = 0;
    for c in text.chars() {
        if is_unsafe(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
        if out.len() > max_bytes {
            out.truncate(cut);
            if cut + ELLIPSIS.len_utf8() <= max_bytes {
                out.push(ELLIPSIS);
            }
            break;
        }
        if out.len() + ELLIPSIS.len_utf8() <= max_bytes {
            cut = out.len();
        }
    }
    out
}

/// JSON in which what could drive a terminal, or hides or turns text, stands as `\uXXXX`: the same to every reader of
/// JSON, which has it nowhere but in strings.
pub fn escape_json(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if is_unsafe(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            out.push(c);
        }
    }
    out
}

/// Whether a character could drive a terminal, end a line, or disguise what it stands in.
pub fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_drives_a_terminal_or_hides_is_escaped() {
        assert_eq!(clean("a\u{1b}[31m\n\u{7f}\u{9b}", 99), "a\\u{1b}[31m\\n\\u{7f}\\u{9b}");
        assert_eq!(clean("\u{202e}x\u{2029}\u{61c}", 99), "\\u{202e}x\\u{2029}\\u{61c}");
        assert_eq!(clean("grün 日本", 99), "grün 日本");
    }

    #[test]
    fn json_is_the_same_json_without_what_drives_a_terminal() {
        assert_eq!(escape_json("\"a\u{9b}\u{202e}\u{e0041}日\""), "\"a\\u009b\\u202e\\udb40\\udc41日\"");
    }

    #[test]
    fn it_is_cut_between_characters_only_where_it_is_too_long() {
        assert_eq!(clean("abcdef", 6), "abcdef");
        assert_eq!(clean("abcdefg", 6), "abc…");
        assert_eq!(clean("日本語", 8), "日…");
        assert_eq!(clean("ab\n\n", 5), "ab…");
        assert_eq!(clean("abc", 2), "");
    }
}
