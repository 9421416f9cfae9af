//! A user's templates: they read nothing but their values, and end.

use std::fs;
use std::time::Instant;

use crate::up::Scene;
use crate::up::scene::Said;
use crate::up::small::{self, YAML, change};

fn render(scene: &Scene, template: &str, scale: &str) -> Said {
    scene.write("own/unit.sh.tera", template);
    let mut command = scene.toolorch(&["render", YAML, "--templates", "own", "--out", "rendered"]);
    command
        .env("HF_TOKEN", "cAnArY")
        .env("TOOLORCH_TIME_SCALE", scale);
    scene.go(command).end()
}

const NESTED: &str = "{% for a in range(end=1000) %}{% for b in range(end=1000) %}{% for c in range(end=1000) %}{% endfor %}{% endfor %}{% endfor %}";
const DOUBLED: &str = "{% set s = 'xxxxxxxx' %}{% for a in range(end=40) %}{% set_global s = s ~ s %}{% endfor %}{{ s }}";

#[test]
fn what_a_template_may_not_do_is_refused_in_words() {
    let scene = small::scene("plain", 1);
    for (template, words) in [
        (
            "{{ get_env(name='HF_TOKEN') }}",
            "Unknown function `get_env`",
        ),
        ("{% include '/etc/passwd' %}", "/etc/passwd"),
        ("{% include '../client.sh' %}", "client.sh"),
        ("{{ unit.argv[0] | safe }}", "unquoted"),
        ("{% include 'unit.sh.tera' %}", ""),
        (NESTED, "processor time"),
        (DOUBLED, "memory"),
        (
            "{% for a in range(end=1000000000) %}{% endfor %}",
            "exceeds the limit",
        ),
    ] {
        let began = Instant::now();
        // Its time is ours, so that a loop without end is found out soon.
        let scale = if template == DOUBLED { "1" } else { "10" };
        let said = render(&scene, template, scale);
        assert_eq!(said.code, 2, "{template}: {}", said.err);
        assert!(
            said.err.starts_with("error: ") && said.err.contains(words),
            "{template}: {}",
            said.err
        );
        assert!(
            !said.err.contains("cAnArY") && !said.err.contains("root:"),
            "{}",
            said.err
        );
        assert!(
            !scene.path("rendered").exists(),
            "{template} took {:?}",
            began.elapsed()
        );
    }
    let said = render(
        &scene,
        "echo {% for word in unit.argv %}{{ word }} {% endfor %}",
        "1",
    );
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(
        fs::read_to_string(scene.path("rendered/units/chat-0.sh"))
            .unwrap()
            .starts_with("echo ")
    );
}

#[test]
fn a_template_of_a_client_s_configuration_is_tried_before_anything_starts() {
    let scene = small::scene("plain", 1);
    change(
        &scene,
        "format: toolorchestra, path: config.json",
        "format: template, template: own.tera, path: config.txt",
    );
    let up = |template: &str| {
        scene.write("own.tera", template);
        let mut command = scene.toolorch(&["up", YAML]);
        command
            .env("HF_TOKEN", "cAnArY")
            .env("TOOLORCH_TIME_SCALE", "10");
        scene.go(command).end()
    };
    for (template, words) in [
        (
            "{{ get_env(name='HF_TOKEN') }}",
            "Unknown function `get_env`",
        ),
        ("{% include '/etc/passwd' %}", "/etc/passwd"),
        ("{{ groups[7].key }}", "own.tera` cannot be filled in"),
        (NESTED, "processor time"),
    ] {
        let said = up(template);
        assert_eq!(said.code, 2, "{template}: {}", said.err);
        assert!(
            said.err.contains(words) && said.err.ends_with("nothing was started\n"),
            "{template}: {}",
            said.err
        );
        assert!(!scene.path("config.txt").exists());
        assert_eq!(scene.runs(), [] as [String; 0]);
    }
    fs::remove_file(scene.path("own.tera")).unwrap();
    let said = scene.expect(2, &["up", YAML]);
    assert!(said.err.contains("cannot read `"), "{}", said.err);

    scene.write(
        "own.tera",
        "{{ groups[0].key }} at {{ groups[0].endpoints[0].url | safe }}",
    );
    scene.expect(0, &["up", YAML]);
    let wanted = format!("Qwen/Qwen3-8B at http://{}1.1:8000/v1", scene.network());
    assert_eq!(scene.read("config.txt"), wanted);
    scene.assert_nothing_left();
}
