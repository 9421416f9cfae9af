//! Runners for evaluation clients of others: small Python programs around a client's own library, which give each
//! question a result file of its own, so that a restart asks only what is missing.

/// The names of clients that have a runner.
pub const RUNNERS: [&str; 2] = ["lm-eval", "inspect-ai"];

/// The name of the stand-in for ToolOrchestra's clients, which a rehearsal runs where a checkout of them is not at hand.
pub const STAND_IN: &str = "toolorchestra";

/// The program of a client's runner: Python 3.10 or later, with the client's library installed.
pub fn runner(name: &str) -> Option<String> {
    if name == STAND_IN {
        return Some(include_str!("data/clients/toolorchestra.py").to_owned());
    }
    let own = match name {
        "lm-eval" => include_str!("data/clients/lm_eval.py"),
        "inspect-ai" => include_str!("data/clients/inspect_ai.py"),
        _ => return None,
    };
    let common = include_str!("data/clients/common.py");
    Some(format!("{common}{own}\n\nmain()\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::knowledge::adapters::adapter;

    #[test]
    fn every_runner_has_an_adapter() {
        for name in RUNNERS {
            assert!(runner(name).is_some());
            assert!(adapter(name).unwrap().command.contains(&name));
        }
        assert_eq!(runner("generic"), None);
    }
}
