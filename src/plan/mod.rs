//! Spec to plan: total, a plan *and* diagnostics. Pure.
