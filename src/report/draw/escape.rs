//! Words from outside, made harmless in a page.

use crate::base::clean;

/// One line without control characters, whose marks mean nothing to HTML, between tags and in attributes with quotes.
pub(in crate::report) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in clean(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn marks_become_words() {
        let said = escaped("<script>alert(\"a\" & 'b')</script>\u{1b}[2J\u{202e}\0\n");
        insta::assert_snapshot!(said, @"&lt;script&gt;alert(&quot;a&quot; &amp; &#39;b&#39;)&lt;/script&gt; ");
    }

    proptest! {
        #[test]
        fn nothing_is_left_that_html_would_read(text in any::<String>()) {
            let said = escaped(&text);
            let marks = ['<', '>', '"', '\'', '\n', '\0', '\u{1b}', '\u{202e}'];
            prop_assert!(!said.contains(marks));
            let back = said.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"");
            prop_assert_eq!(back.replace("&#39;", "'").replace("&amp;", "&"), clean(&text));
        }
    }
}
