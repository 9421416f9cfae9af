//! A report as Markdown, in the shape of the evaluation log's tables.

use std::fmt::Write as _;

use super::blocks::{Block, blocks};
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
            let lines = lines.iter().map(|line| format!("- {}\n", escaped(line)));
            lines.collect()
        }
        Block::Table { left, rows } => {
            let mut text = String::new();
            for (index, row) in rows.iter().enumerate() {
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

/// What would mean something to Markdown or HTML means itself, but for backticks: names stand between them, as they are.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut is_name = false;
    for c in text.chars() {
        match c {
            '`' => {
                is_name = !is_name;
                out.push(c);
            }
            c if is_name && c != '|' => out.push(c),
            '|' | '*' | '_' | '[' | ']' | '#' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            '<' => out.push_str("&lt;"),
            '&' => out.push_str("&amp;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_what_they_are_and_words_mean_nothing_to_a_renderer() {
        let said = [
            "`a_b*[x](y)<b>` of `c`",
            "a_b*[x](y)<b>&amp; # \\",
            "`a|b` | `",
        ];
        let said: Vec<String> = said.iter().map(|text| escaped(text)).collect();
        insta::assert_snapshot!(said.join("\n"), @r"
        `a_b*[x](y)<b>` of `c`
        a\_b\*\[x\](y)&lt;b>&amp;amp; \# \\
        `a\|b` \| `
        ");
    }
}
