//! The page in a real browser.

use std::process::{Command, Stdio};

use rustix::process::Signal;
use serde_json::json;

use super::Served;
use crate::browser::Browser;
use crate::up::scene::{kill, until};
use crate::up::small::{self, YAML, change};

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
fn a_browser_shows_units_progress_alarms_and_what_happens() {
    let scene = small::scene("slow", 400);
    change(
        &scene,
        "port: 8000",
        "port: 8000, replicas: 2, restart: { attempts: 1, backoff: 100ms }",
    );
    // A name that would be markup, if anybody took it for that.
    let service = "services:\n  loud: { node: box, port: 8100, command: [bash, -c, \"echo '<img src=x onerror=alert(1)>'; exit 7\"], \
                   restart: { attempts: 0 }, ready: { http: /health, timeout: 2s } }\nclient_config:";
    change(&scene, "client_config:", service);
    change(
        &scene,
        "dataset: data.jsonl",
        "requires: [chat]\n    dataset: data.jsonl",
    );
    let up = scene.go(scene.toolorch(&["up", YAML]));
    until("a result", || (scene.results("out") > 0).then_some(()));
    let served = Served::start(&scene);
    let mut browser = Browser::start(&scene.path("chromium"));
    browser.open(&format!("http://127.0.0.1:{}/", served.port));

    browser.until("document.querySelector('#link').textContent === 'connected'");
    browser.until("document.querySelectorAll('#servers .member').length === 2");
    browser.until("document.querySelector('#name').textContent.startsWith('small-1-')");
    let done = "Number(document.querySelector('#evals dd').textContent.split(' ')[0])";
    browser.until(&format!("{done} > 0"));
    let before = browser.value(done);
    browser.until(&format!("{done} > {before}"));
    browser.until(
        "document.querySelector('#log').textContent.includes('<img src=x onerror=alert(1)>')",
    );
    assert_eq!(browser.value("document.querySelectorAll('img').length"), 0);

    let row = "[...document.querySelectorAll('#servers .member')].find((row) => row.textContent.startsWith('chat-0'))";
    let is = |class: &str, text: &str| {
        format!("{row}.querySelector('{class}').textContent === '{text}'")
    };
    browser.until(&is(".state", "ready"));
    let end = || {
        let pid = small::server(&scene).as_u64().unwrap();
        kill(u32::try_from(pid).unwrap(), Signal::KILL);
    };
    end();
    browser.until(&is(".number", "1"));
    browser.until(&is(".state", "ready"));
    end();
    browser.until(&is(".state", "given up"));
    browser.until("document.querySelector('#alarms .open .word').textContent === 'server-lost'");
    browser.until("document.title.includes('alarm')");

    // The state of the page stays when it is told again; nothing is wider than the screen.
    for (width, scheme) in SCREENS {
        browser.screen(width, scheme);
        assert_eq!(
            browser.value("document.documentElement.scrollWidth"),
            width,
            "{scheme}"
        );
        let paper = browser.value("getComputedStyle(document.body).backgroundColor");
        let light = json!("rgb(252, 252, 251)");
        assert_eq!(paper == light, scheme == "light", "{width}: {paper}");
        if let Some(folder) = std::env::var_os("TOOLORCH_PICTURES") {
            let file = format!("{}/{width}-{scheme}.png", folder.display());
            keep(&browser.picture(), &file);
        }
    }
    assert_eq!(browser.complaints, [] as [String; 0]);

    served.going.signal(Signal::INT);
    assert_eq!(served.going.end().code, 0);
    browser.until("document.querySelector('#link').textContent.startsWith('not connected')");
    drop(browser);
    scene.expect(0, &["down", YAML]);
    up.end();
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
