//! Diagnostics: codes, explanations, rendering. Pure.

mod diagnostic;

pub use diagnostic::{Applicability, Code, Diagnostic, Fix, Label, Place, Report, Severity};
