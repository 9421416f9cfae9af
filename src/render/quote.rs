//! How a value becomes one word of bash, or of an `#SBATCH` line.

use std::borrow::Cow;
use std::fmt::Write;

/// Why a value cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuoteError {
    /// No program can be given such a value.
    #[error("`{0}` contains a NUL byte, which no argument or variable can hold")]
    Nul(String),
    /// SLURM would read another line, or another option.
    #[error("`{0}` cannot stand in an #SBATCH line: {1}")]
    Directive(String, &'static str),
}

/// One word of bash that means exactly `text`.
///
/// Printable text is quoted as `shlex` does. Control characters, line ends, and characters that show as something
/// else than they are (bidirectional marks, zero width) are written as `$'\ooo'` bytes: a line of a script stays
/// one line, shows what it does, and never holds a carriage return.
pub fn quote(text: &str) -> Result<Cow<'_, str>, QuoteError> {
    if text.contains('\0') {
        return Err(QuoteError::Nul(text.replace('\0', "\\0")));
    }
    if !text.chars().any(is_hidden) {
        return shlex::try_quote(text).map_err(|_| QuoteError::Nul(text.to_owned()));
    }
    let mut word = String::with_capacity(text.len() + 8);
    word.push_str("$'");
    for c in text.chars() {
        match c {
            '\\' => word.push_str("\\\\"),
            '\'' => word.push_str("\\'"),
            '\n' => word.push_str("\\n"),
            '\t' => word.push_str("\\t"),
            '\r' => word.push_str("\\r"),
            c if is_hidden(c) => {
                let mut bytes = [0; 4];
                for byte in c.encode_utf8(&mut bytes).bytes() {
                    // Three octal digits: a digit that follows cannot be read as part of the escape.
                    let _ = write!(word, "\\{byte:03o}");
                }
            }
            c => word.push(c),
        }
    }
    word.push('\'');
    Ok(word.into())
}

/// Would a reader of the script not see this character, or see it somewhere else?
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

/// The text of one option of an `#SBATCH` line: as it is, in double quotes where it has blanks, or refused.
pub fn directive(text: &str) -> Result<Cow<'_, str>, QuoteError> {
    let refuse = |why| Err(QuoteError::Directive(text.escape_debug().to_string(), why));
    if text.is_empty() {
        return refuse("it is empty");
    }
    if text.chars().any(is_hidden) {
        return refuse("it has a line end or another control character");
    }
    if text.contains(['"', '\'', '\\', '`']) {
        return refuse("it has a quote or a backslash");
    }
    if text.contains([' ', '#', '\u{a0}']) {
        return Ok(format!("\"{text}\"").into());
    }
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_read_as_a_person_would_write_them() {
        let cases = [
            ("", "''"),
            ("plain-1.2/3", "plain-1.2/3"),
            ("it's", "\"it's\""),
            ("$(rm -rf /)", "'$(rm -rf /)'"),
            ("Müller", "'Müller'"),
            ("~/x", "'~/x'"),
            ("a\nb", "$'a\\nb'"),
            ("\r", "$'\\r'"),
            ("\u{1b}1'\\", "$'\\0331\\'\\\\'"),
            ("a\u{202e}b", "$'a\\342\\200\\256b'"),
        ];
        for (text, word) in cases {
            assert_eq!(quote(text).unwrap(), word);
        }
        assert_eq!(
            quote("a\0b").unwrap_err().to_string(),
            "`a\\0b` contains a NUL byte, which no argument or variable can hold"
        );
    }

    #[test]
    fn directives_refuse_a_second_line() {
        assert_eq!(directive("gpu:h100:4").unwrap(), "gpu:h100:4");
        assert_eq!(directive("a b").unwrap(), "\"a b\"");
        assert_eq!(
            directive("x\n#SBATCH --uid=0").unwrap_err().to_string(),
            "`x\\n#SBATCH --uid=0` cannot stand in an #SBATCH line: it has a line end or another control character"
        );
        assert!(directive("a\"b").is_err());
        assert!(directive("").is_err());
    }
}
