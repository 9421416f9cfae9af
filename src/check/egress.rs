//! `egress: proxy` can only be kept where the proxy is the only one, and can stand beside the client.

use crate::base::{EvalName, FieldPath};
use crate::diag::{Code, Diagnostic, Place, Report};
use crate::plan::CONTROLLER;
use crate::plan::egress::{DIRECT, PROXIES, wanted};
use crate::spec::model::{Eval, TransportKind};
use crate::spec::resolve;

use super::Ctx;

pub(super) fn check(ctx: &Ctx<'_>, report: &mut Report) {
    for (name, eval) in ctx.spec.evals.iter().filter(|(_, eval)| wanted(eval)) {
        let origin = FieldPath::root().key("evals").key(name.as_str());
        report.extend(another_proxy(ctx, name, &origin));
        report.extend(elsewhere(ctx, eval, &origin));
    }
}

fn another_proxy(ctx: &Ctx<'_>, name: &EvalName, origin: &FieldPath) -> Option<Diagnostic> {
    let env = resolve::eval_env(ctx.spec, name);
    let set = env.set.keys().map(String::as_str);
    let passed = env.pass.iter().map(|name| name.value.as_str());
    let ours = |name: &&str| PROXIES.contains(name) || DIRECT.contains(name);
    let given = set.chain(passed).find(ours)?;
    Some(
        Diagnostic::error(
            Code("E0530"),
            "the client's way out is named twice",
        )
        .at(
            Place::Value(origin.key("egress")),
            format!("sets `{given}`, and so does its `env`"),
        )
        .help("take the variable out of `env`; behind a proxy of the site use `egress: watch`, and declare that proxy under `externals`"),
    )
}

fn elsewhere(ctx: &Ctx<'_>, eval: &Eval, origin: &FieldPath) -> Option<Diagnostic> {
    let node = eval
        .node
        .as_ref()
        .filter(|node| node.as_str() != CONTROLLER)?;
    let site = ctx.plan.nodes.iter().find(|known| &known.name == node)?;
    (site.transport != TransportKind::Local).then(|| {
        Diagnostic::error(
            Code("E0530"),
            "the proxy of an evaluation runs beside its client, and this one runs elsewhere",
        )
        .at(
            Place::Value(origin.key("egress")),
            format!("`{node}` is reached over ssh, and has no toolorch"),
        )
        .help("let the client run here (`node: controller`), or use `egress: watch`")
    })
}
