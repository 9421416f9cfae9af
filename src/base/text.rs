//! Text from logs and servers, made harmless before a terminal sees it.
//!
//! A log is written by others: it may move the cursor, set the window's title, put text on the
//! clipboard, or turn the reading direction around.

use std::fmt::Write as _;
use std::iter::Peekable;
use std::str::Chars;

use unicode_width::UnicodeWidthChar;

/// One line of plain text: escape sequences and invisible characters are gone, line ends and tabs
/// are spaces.
///
/// Nothing visible is dropped: `error\rfine` becomes `error fine`, although a terminal would show
/// `finer`.
pub fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\u{1b}' => skip_escape(&mut rest),
            '\u{9b}' => skip_csi(&mut rest),
            '\u{90}' | '\u{98}' | '\u{9d}'..='\u{9f}' => skip_string(&mut rest),
            '\t' | '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => {
                out.push(' ');
            }
            c if is_hidden(c) => {}
            c => out.push(c),
        }
    }
    out
}

/// Whether a character is invisible and changes how others are shown: controls, reading
/// directions, line separators, zero-width spaces, tags.
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

/// JSON whose strings move no terminal: what is hidden in them stands as its escape, so that the values stay what they are.
pub fn plain_json(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        // Outside of strings there is nothing hidden but line ends and tabs.
        if is_hidden(c) && !matches!(c, '\n' | '\t') {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a string cannot fail.
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
    }
    out
}

/// Skips what follows ESC.
fn skip_escape(rest: &mut Peekable<Chars>) {
    match rest.peek() {
        Some('[') => {
            rest.next();
            skip_csi(rest);
        }
        Some(']' | 'P' | 'X' | '^' | '_') => {
            rest.next();
            skip_string(rest);
        }
        _ => {
            while rest.next_if(|c| matches!(c, ' '..='/')).is_some() {}
            rest.next_if(|c| matches!(c, '0'..='~'));
        }
    }
}

/// Skips parameters and the final letter of a control sequence.
fn skip_csi(rest: &mut Peekable<Chars>) {
    while rest.next_if(|c| matches!(c, ' '..='?')).is_some() {}
    rest.next_if(|c| matches!(c, '@'..='~'));
}

/// Skips a string up to BEL or ST; one that never ends is shown, so that it can hide nothing.
fn skip_string(rest: &mut Peekable<Chars>) {
    let mut ahead = rest.clone();
    while let Some(c) = ahead.next() {
        let ended = match c {
            '\u{7}' | '\u{9c}' => true,
            '\u{1b}' => ahead.next_if_eq(&'\\').is_some(),
            _ => false,
        };
        if ended {
            *rest = ahead;
            return;
        }
    }
}

/// The last line of a log's tail that says something; a progress bar's last state, not its first.
pub fn last_line(tail: &str) -> String {
    tail.rsplit(['\n', '\r'])
        .map(clean)
        .map(|line| line.trim().to_owned())
        .find(|line| !line.is_empty())
        .unwrap_or_default()
}

/// Cuts a line to so many columns, with `…` where something is missing.
pub fn cut(line: &str, columns: usize) -> String {
    let width = |c: char| c.width().unwrap_or(0);
    if line.chars().map(width).sum::<usize>() <= columns {
        return line.to_owned();
    }
    let mut used = 1;
    let mut out: String = line
        .chars()
        .take_while(|c| {
            used += width(*c);
            used <= columns
        })
        .collect();
    if columns > 0 {
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hidden_characters_of_json_are_escaped_and_stay_what_they_are() {
        let name = "a\u{9b}31m\u{202e}\u{7f}\u{e0041}\u{1b}é\n";
        let value = serde_json::json!({ "name": [name] });
        let json = plain_json(&format!("{value:#}"));
        assert!(!json.chars().any(|c| is_hidden(c) && c != '\n'), "{json:?}");
        assert!(
            json.contains("a\\u009b31m\\u202e\\u007f\\udb40\\udc41\\u001bé\\n"),
            "{json}"
        );
        let read: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(read, value);
    }

    #[test]
    fn escape_sequences_are_gone() {
        for (raw, shown) in [
            ("\u{1b}[2J\u{1b}[1;1Hall fine", "all fine"),
            ("\u{1b}[1;31merror\u{1b}[0m: no", "error: no"),
            ("\u{1b}]0;owned\u{7}title", "title"),
            (
                "\u{1b}]8;;http://evil\u{1b}\\link\u{1b}]8;;\u{1b}\\",
                "link",
            ),
            ("\u{1b}]52;c;ZWNobw==\u{7}clipboard", "clipboard"),
            ("\u{9b}31mred\u{9d}0;t\u{9c}!", "red!"),
            ("\u{1b}Pq#0\u{1b}\\sixel", "sixel"),
            ("\u{1b}(Bascii\u{1b}7\u{1b}=", "ascii"),
            ("\u{1b}]0;never ended", "0;never ended"),
            ("cut off \u{1b}[", "cut off "),
            ("cut off \u{1b}", "cut off "),
        ] {
            assert_eq!(clean(raw), shown, "{raw:?}");
        }
    }

    #[test]
    fn nothing_visible_is_hidden() {
        assert_eq!(
            clean("ERROR: out of memory\rINFO: ready"),
            "ERROR: out of memory INFO: ready"
        );
        assert_eq!(clean("abc\u{8}\u{8}\u{8}xyz"), "abcxyz");
        assert_eq!(clean("a\u{202e}txt.exe\u{202c}b\u{2067}c"), "atxt.exebc");
        assert_eq!(
            clean("one\u{2028}two\u{2029}three\tfour"),
            "one two three four"
        );
        assert_eq!(clean("\u{e0041}\u{200b}\u{feff}ü 漢字 🙂"), "ü 漢字 🙂");
    }

    #[test]
    fn the_last_line_is_the_newest() {
        assert_eq!(last_line("a\n 10%|#\r 20%|##  \r\n\n"), "20%|##");
        assert_eq!(last_line("\n\u{1b}[2K\n"), "");
    }

    #[test]
    fn lines_are_cut_by_columns() {
        assert_eq!(cut("漢字漢字", 8), "漢字漢字");
        assert_eq!(cut("漢字漢字", 6), "漢字…");
        assert_eq!(cut("abcdef", 4), "abc…");
        assert_eq!(cut("abcdef", 0), "");
    }

    proptest! {
        #[test]
        fn cleaned_text_is_plain_and_stays_so(text in "\\PC*|[\u{0}-\u{a0}]*|.*") {
            let once = clean(&text);
            prop_assert!(!once.chars().any(is_hidden), "{once:?}");
            prop_assert_eq!(clean(&once), once);
        }

        #[test]
        fn plain_text_is_kept(text in "[ -~]*") {
            prop_assert_eq!(clean(&text), text);
        }
    }
}
