//! Diagnostics: codes, explanations, rendering. Pure.
