//! A report as Markdown, in the shape of the evaluation log's tables.

use std::fmt::Write as _;

use super::blocks::{Block, blocks, narrow};
use super::model::Report;

/// The report as Markdown.
pub fn report_markdown(report: &Report) -> String {
    let blocks = blocks(report);
    let mut parts = Vec::with_capacity(blocks.len());
    for (index, block) in blocks.iter().enumerate() {
        let first = if index == 0 { "#" } else { "##" };
        parts.push(markdown(block, first));
    }
    parts.join("\n")
}

fn markdown(block: &Block, title: &str) -> String {
    match block {
        Block::Title(line) => format!("{title} {}\n", escaped(line)),
        Block::Heading(line) => format!("### {}\n", escaped(line)),
        Block::Lines(lines) => {
            let lines = lines.iter().map(|line| format!("- {}\n", begun(line)));
            lines.collect()
        }
        Block::Code(lines) => format!("```diff\n{}\n```\n", lines.join("\n")),
        Block::Table { left, rows } => {
            let mut text = String::new();
            for (index, row) in narrow(rows).iter().enumerate() {
                // Writing to a string cannot fail.
                let cells: Vec<String> = row.iter().map(|cell| escaped(cell)).collect();
                let _ = writeln!(text, "| {} |", cells.join(" | "));
                if index == 0 {
                    let rule = |column| if column < *left { "---" } else { "---:" };
                    let rules: Vec<&str> = (0..row.len()).map(rule).collect();
                    let _ = writeln!(text, "| {} |", rules.join(" | "));
                }
            }
            text
        }
    }
}

/// A text that means itself to every reader of Markdown, GitHub's among them.
///
/// Names stand between backticks. Where these come in pairs, one by one, a name is code: whatever a reader makes of it, nothing in
/// it has a meaning. A name with backticks of its own would end its code where it likes, so then none is code. Outside of code each
/// character that could have a meaning stands as an entity, or behind a backslash.
fn escaped(text: &str) -> String {
    let parts: Vec<&str> = text.split('`').collect();
    let in_pairs = parts.len() % 2 == 1;
    let mut inside = parts.iter().skip(1).step_by(2);
    // Two in a row are another fence; a bar would end a cell even in code, where nothing can be escaped.
    let is_name = |part: &&str| !part.trim().is_empty() && !part.contains(['|', '\n', '\r']);
    let apart = parts.iter().enumerate();
    let mut apart = apart.filter(|(index, _)| *index > 0 && index + 1 < parts.len());
    let apart = apart.all(|(_, part)| !part.is_empty());
    let mut out = String::with_capacity(text.len());
    if !(in_pairs && apart && inside.all(is_name)) {
        escape(text, &mut out);
        return out;
    }
    for (index, part) in parts.iter().enumerate() {
        if index % 2 == 1 {
            out.push('`');
            out.push_str(part);
            out.push('`');
        } else {
            escape(part, &mut out);
        }
    }
    out
}

/// The same at the beginning of a line, where some texts would begin a list, or code.
fn begun(text: &str) -> String {
    let text = escaped(text.trim_start());
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(0);
    let is_number = digits > 0 && text[digits..].starts_with(['.', ')']);
    if is_number {
        format!("{}\\{}", &text[..digits], &text[digits..])
    } else if text.starts_with(['-', '+', '=', '>']) {
        format!("\\{text}")
    } else {
        text
    }
}

/// Adds a text outside of code.
fn escape(text: &str, out: &mut String) {
    let is_web = |start: &str| start.to_ascii_lowercase().ends_with("www");
    for (at, c) in text.char_indices() {
        let follows = |next: &str| text[at..].starts_with(next);
        match c {
            '<' => out.push_str("&lt;"),
            '&' => out.push_str("&amp;"),
            // GitHub makes links of addresses, and people of names.
            '@' => out.push_str("&#64;"),
            ':' if follows("://") => out.push_str("&#58;"),
            '.' if is_web(&text[..at]) => out.push_str("&#46;"),
            '\n' | '\r' => out.push(' '),
            '`' | '|' | '*' | '_' | '[' | ']' | '#' | '\\' | '~' | '$' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_stay_what_they_are_and_words_mean_nothing_to_a_renderer() {
        let said = [
            "`a_b*[x](y)<b>` of `c`",
            "a_b*[x](y)<b>&amp; # \\",
            "`a|b` | `",
            "`'``<img src=x onerror=alert(1)>`: torn",
            "`a`<img src=x>`b`",
            "```html",
            "1. see http://evil or www.evil.example, @someone",
            "- > + ![x](y) ~~z~~ $x$",
            "    code",
        ];
        let said: Vec<String> = said.iter().map(|text| begun(text)).collect();
        insta::assert_snapshot!(said.join("\n"), @r"
        `a_b*[x](y)<b>` of `c`
        a\_b\*\[x\](y)&lt;b>&amp;amp; \# \\
        \`a\|b\` \| \`
        \`'\`\`&lt;img src=x onerror=alert(1)>\`: torn
        `a`&lt;img src=x>`b`
        \`\`\`html
        1\. see http&#58;//evil or www&#46;evil.example, &#64;someone
        \- > + !\[x\](y) \~\~z\~\~ \$x\$
        code
        ");
    }

    /// What a reader that knows no more than code, entities and backslashes makes of it: text, and code.
    fn read(markdown: &str) -> Option<Vec<(bool, String)>> {
        let mut read = vec![(false, String::new())];
        let mut rest = markdown;
        while let Some(c) = rest.chars().next() {
            let is_code = read.last().is_some_and(|part| part.0);
            let mut step = c.len_utf8();
            let mut said = c;
            if c == '`' {
                // A fence of two is another one.
                if rest.starts_with("``") {
                    return None;
                }
                read.push((!is_code, String::new()));
                rest = &rest[1..];
                continue;
            }
            if !is_code {
                let entities = [
                    ("&lt;", '<'),
                    ("&amp;", '&'),
                    ("&#64;", '@'),
                    ("&#58;", ':'),
                    ("&#46;", '.'),
                ];
                if let Some((entity, meant)) =
                    entities.iter().find(|(one, _)| rest.starts_with(one))
                {
                    (step, said) = (entity.len(), *meant);
                } else if c == '\\' {
                    said = rest[1..]
                        .chars()
                        .next()
                        .filter(char::is_ascii_punctuation)?;
                    step = 2;
                } else if "<&*_[]#~$|".contains(c) {
                    return None;
                }
            } else if c == '|' {
                return None;
            }
            read.last_mut()?.1.push(said);
            rest = &rest[step..];
        }
        read.last().is_some_and(|part| !part.0).then_some(read)
    }

    proptest! {
        #[test]
        fn it_reads_as_what_was_written(text in "[`a|<>&*_#!\\\\\\[\\]()@:/w.~$ 1-]{0,24}") {
            let text = text.trim_start();
            let markdown = begun(text);
            let read = read(&markdown);
            prop_assert!(read.is_some(), "{markdown}");
            let parts = read.unwrap_or_default();
            let is_code = parts.iter().any(|part| part.0);
            let parts: Vec<&str> = parts.iter().map(|part| part.1.as_str()).collect();
            let written = parts.join(if is_code { "`" } else { "" });
            prop_assert_eq!(written, text);
        }
    }
}
