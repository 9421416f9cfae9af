//! Spec, plan, knowledge and facts to diagnostics; one family of rules per file. Pure.
