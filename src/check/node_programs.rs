//! Whether a machine has the programs that start and watch units there.

use super::Ctx;
use super::nodes::{Looked, node_path};
use crate::diag::{Code, Diagnostic, Place, Report};
use crate::plan::inspect::TMUX;

pub(super) fn check(ctx: &Ctx<'_>, looked: &Looked<'_>, report: &mut Report) {
    for program in &looked.look.missing {
        let name = &looked.node.name;
        let (label, help) = if program == TMUX {
            (
                "units start in its sessions",
                "have tmux installed there, or write `launcher: process` for this node",
            )
        } else {
            (
                "each unit is started and watched with it",
                "have it installed there: it is of util-linux, coreutils, findutils or grep",
            )
        };
        report.push(
            Diagnostic::error(
                Code("E0721"),
                format!("`{program}` is not on the PATH of `{name}`"),
            )
            .at(Place::Key(node_path(ctx, name)), label)
            .help(help),
        );
    }
}
