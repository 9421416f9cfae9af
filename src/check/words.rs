//! Texts that a program would read as something else than they are meant: masks of modes, names that begin like options.

use serde_json::Value;

use crate::base::FieldPath;
use crate::diag::{Code, Diagnostic, Place, Report};

use super::Ctx;

pub(super) fn check(ctx: &Ctx<'_>, report: &mut Report) {
    for (name, model) in &ctx.spec.models {
        if model.model.starts_with('-') {
            let path = FieldPath::root().key("models").key(name.as_str());
            report.push(option(&model.model, path.key("model")));
        }
    }
    hosts(ctx, report);
    if let Ok(all) = serde_json::to_value(ctx.spec) {
        walk(&all, &FieldPath::root(), report);
    }
}

/// Hosts that ssh is given as they are.
fn hosts(ctx: &Ctx<'_>, report: &mut Report) {
    let jumps = ctx.spec.nodes.iter().filter_map(|(name, node)| {
        let path = FieldPath::root().key("nodes").key(name.as_str());
        let jump = node.ssh.as_ref()?.jump.as_ref()?;
        Some((jump, path.key("ssh").key("jump")))
    });
    let pools = ctx.spec.pools.iter().map(|(name, pool)| {
        let path = FieldPath::root().key("pools").key(name.as_str());
        (pool.slurm.as_ref(), path)
    });
    let all = pools.chain([(ctx.spec.slurm.as_ref(), FieldPath::root())]);
    let logins = all.filter_map(|(slurm, path)| {
        let login = slurm?.login.as_ref()?;
        Some((login, path.key("slurm").key("login")))
    });
    for (host, path) in jumps.chain(logins).filter(|(host, _)| !is_host(host)) {
        report.push(
            Diagnostic::error(Code("E0202"), format!("`{host}` is no host"))
                .at(
                    Place::Value(path),
                    "letters, digits, `.`, `-`, `_` and `:`, and not first a `-`",
                )
                .help("write it as `HOST`, `USER@HOST` or `HOST:PORT`"),
        );
    }
}

fn is_host(text: &str) -> bool {
    let part = |c: char| c.is_ascii_alphanumeric() || ".-_:@[]".contains(c);
    !text.is_empty() && !text.starts_with('-') && !text.contains("@-") && text.chars().all(part)
}

fn walk(value: &Value, path: &FieldPath, report: &mut Report) {
    let Value::Object(map) = value else { return };
    for (key, item) in map {
        let path = path.key(key.as_str());
        match (key.as_str(), item.get("umask").and_then(Value::as_str)) {
            ("env", Some(mask)) if !is_octal(mask) => report.push(finding(path.key("umask"))),
            // What is free text may well have such a key.
            ("extra" | "json" | "args" | "set", _) => {}
            _ => walk(item, &path, report),
        }
    }
}

fn is_octal(mask: &str) -> bool {
    (1..=4).contains(&mask.len()) && mask.bytes().all(|byte| (b'0'..=b'7').contains(&byte))
}

fn finding(path: FieldPath) -> Diagnostic {
    Diagnostic::error(Code("E0205"), "a umask is no octal number".to_owned())
        .at(Place::Value(path), "one to four digits from 0 to 7")
        .help("write it in quotes, such as `umask: \"027\"`")
}

fn option(model: &str, path: FieldPath) -> Diagnostic {
    Diagnostic::error(
        Code("E0428"),
        format!("`{model}` would be read as an option, not as a model"),
    )
    .at(Place::Value(path), "it begins with `-`")
    .help("a folder of such a name can be written as `./-NAME`")
}
