//! `report.html` in a real browser.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::json;

use super::root;
use crate::browser::Browser;
use crate::up::Scene;

/// All screens on which it is looked at: width, scheme.
const SCREENS: [(u32, &str); 6] = [
    (390, "light"),
    (390, "dark"),
    (820, "light"),
    (820, "dark"),
    (1440, "light"),
    (1440, "dark"),
];

#[test]
fn a_browser_shows_a_run_and_made_up_results_and_asks_for_nothing() {
    let scene = Scene::quickstart(40);
    scene.expect(0, &["up", "quickstart.yaml"]);
    scene.expect(
        0,
        &["report", "quickstart.yaml", "--out", "run", "--bins", "7"],
    );
    let script = root().join("tests/report/make_results.py");
    let made = Command::new("python3")
        .arg(script)
        .arg(scene.path("made"))
        .arg("60")
        .output();
    assert!(made.unwrap().status.success());
    let args = [
        "report",
        "made/results",
        "--call-log",
        "made/calls.jsonl",
        "--out",
        "results",
    ];
    scene.expect(0, &args);

    let mut browser = Browser::start(&scene.path("chromium"));
    let charts = looked_at(&mut browser, &scene.path("run/report.html"), "run");
    assert!(charts > 12, "{charts}");
    // Four tools, and so many bars each.
    assert_eq!(
        browser.value("document.querySelectorAll('#times .bar').length"),
        4 * 7
    );
    let ready = "document.querySelectorAll('#course rect.ready').length";
    assert_eq!(browser.value(ready), 7);
    let open = "document.querySelector('#course rect.ready').dispatchEvent(new PointerEvent('pointermove', {bubbles: true}))";
    browser.value(open);
    let tip = "document.querySelector('#tip').innerText.split('\\n')[0]";
    assert_eq!(browser.value(tip), "eval-arithmetic, start 1: runs");

    let charts = looked_at(&mut browser, &scene.path("results/report.html"), "results");
    assert_eq!(charts, 8);
    assert_eq!(browser.complaints, [] as [String; 0]);
}

/// Opens a page on each screen: it is in its colours, and nothing of it is wider than the screen. Answers how many charts it has.
pub(super) fn looked_at(browser: &mut Browser, page: &Path, name: &str) -> u64 {
    browser.requests.clear();
    let url = format!("file://{}", page.display());
    browser.open(&url);
    for (width, scheme) in SCREENS {
        browser.screen(width, scheme);
        let wide = browser.value("document.documentElement.scrollWidth");
        assert_eq!(wide, width, "{name}, {scheme}");
        let paper = browser.value("getComputedStyle(document.body).backgroundColor");
        let light = json!("rgb(250, 249, 246)");
        assert_eq!(paper == light, scheme == "light", "{width}: {paper}");
        if let Some(folder) = std::env::var_os("TOOLORCH_PICTURES") {
            let file = format!("{}/{name}-{width}-{scheme}.png", folder.display());
            keep(&browser.picture(), &file);
        }
    }
    assert_eq!(browser.requests, [url]);
    browser
        .value("document.querySelectorAll('svg').length")
        .as_u64()
        .unwrap()
}

/// Writes a picture for people to look at.
fn keep(base64: &str, file: &str) {
    let mut child = Command::new("bash")
        .args(["-c", "base64 -d >\"$0\"", file])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), base64.as_bytes()).unwrap();
    child.wait().unwrap();
}
