//! Any text that is a cluster is planned, checked and rendered, and nothing panics.
#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use toolorch::check::check_all;
use toolorch::diag::human;
use toolorch::facts::Facts;
use toolorch::render::{Renderer, render_plan};
use toolorch::spec::{Source, parse};

fuzz_target!(|bytes: &[u8]| {
    let parsed = parse(Source::new("fuzz.yaml", bytes), &[]);
    let Some(spec) = &parsed.spec else { return };
    let facts = Facts::default();
    let (plan, report) = check_all(spec, &facts);
    human(&report, &parsed.document, false);
    // What is refused with words may be refused here, too.
    let _ = Renderer::new(&BTreeMap::new()).map(|renderer| render_plan(&plan, &renderer));
});
