//! The client's keys: a model's name, byte for byte, and each once.

use std::collections::HashMap;

use crate::base::FieldPath;
use crate::diag::{Code, Diagnostic, Place, Report};
use crate::plan::Group;

use super::Ctx;

pub(super) fn check(ctx: &Ctx<'_>, report: &mut Report) {
    from_home(ctx, report);
    one_of_each(ctx, report);
}

/// `~` and `${HOME}` mean something else on each machine; the server would answer to another name
/// than the client asks for.
fn from_home(ctx: &Ctx<'_>, report: &mut Report) {
    for (name, model) in &ctx.spec.models {
        let text = &model.model;
        if text.starts_with('~') || text.contains("$HOME") || text.contains("${HOME}") {
            let path = FieldPath::root().key("models").key(name.as_str());
            report.push(
                Diagnostic::error(
                    Code("E0426"),
                    format!("the name of a model is taken byte for byte: `{text}`"),
                )
                .at(
                    Place::Value(path.key("model")),
                    "no shell will fill this in",
                )
                .help(
                    "write the whole path: it is what the server answers to and the client's key",
                ),
            );
        }
    }
}

/// Two models of one key are one line of the client's configuration.
fn one_of_each(ctx: &Ctx<'_>, report: &mut Report) {
    if ctx.plan.configs.is_empty() {
        return;
    }
    let mut first: HashMap<&str, &Group> = HashMap::new();
    for group in &ctx.plan.groups {
        let Some(other) = first.insert(&group.key, group) else {
            continue;
        };
        report.push(
            Diagnostic::error(
                Code("E0427"),
                format!("`{}` and `{}` have one key for the client", other.name, group.name),
            )
            .at(place(ctx, group), format!("`{}`", group.key))
            .see(place(ctx, other), "the same")
            .help(
                "one would replace the other in the client's configuration: make them one model with \
                 `node: [A, B]`, or give one a `served_name`",
            ),
        );
    }
}

fn place(ctx: &Ctx<'_>, group: &Group) -> Place {
    let root = FieldPath::root();
    let path = root.key("models").key(group.name.as_str());
    match ctx.spec.models.get(&group.name) {
        Some(model) if model.served_name.is_some() => Place::Value(path.key("served_name")),
        Some(_) => Place::Value(path.key("model")),
        None => Place::Key(root.key("services").key(group.name.as_str())),
    }
}
