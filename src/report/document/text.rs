//! A report for a terminal.

use super::blocks::{Block, blocks};
use super::model::Report;
use crate::report::summary::table;

/// The report as plain text: tables in aligned columns.
pub fn report_text(report: &Report) -> String {
    let mut text = String::new();
    for (index, block) in blocks(report).iter().enumerate() {
        // What stands under a title follows it at once.
        if index > 0 && matches!(block, Block::Title(_) | Block::Heading(_)) {
            text.push('\n');
        }
        match block {
            Block::Title(line) | Block::Heading(line) => {
                text.push_str(line);
                text.push('\n');
            }
            Block::Lines(lines) => {
                for line in lines {
                    text.push_str("  ");
                    text.push_str(line);
                    text.push('\n');
                }
            }
            Block::Table { left, rows } => text.push_str(&table(rows, *left)),
        }
    }
    text
}
