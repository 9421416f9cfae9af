//! `up` beside running units whose library is another release's.

use super::Scene;

const CLUSTER: &str = r#"
version: 1
name: lib
launcher: process
nodes: { here: { gpus: 0, transport: local, address: 127.0.0.1 } }
services:
  web: { node: here, port: 8090, command: [python3, -m, http.server, --bind, "{host}", "{port}"], ready: { http: / } }
when_done: keep
"#;

#[test]
fn another_library_is_taken_over_within_a_format_and_refused_beyond_it() {
    let scene = Scene::new();
    scene.write("lib.yaml", &scene.here(CLUSTER));
    scene.expect(0, &["up", "lib.yaml"]);
    let library = "home/runs/lib/latest/scripts/lib/unit.sh";
    let ours = scene.read(library);
    let servers = scene.processes();
    assert!(!servers.is_empty());

    let earlier = ours.replacen("U_FORMAT=1\n", "U_FORMAT=0\n", 1);
    scene.write(library, &earlier);
    let said = scene.expect(2, &["up", "lib.yaml"]);
    assert_eq!(
        said.err,
        "error: what runs was started by another version of `lib/unit.sh`: its state has the format 0, not 1\n\
         help: go on with that version of toolorch, or stop the cluster first: toolorch down\n"
    );
    assert_eq!(scene.read(library), earlier, "nothing was written");

    scene.write(
        library,
        &ours.replacen("U_FORMAT=1\n", "# an older comment\nU_FORMAT=1\n", 1),
    );
    scene.expect(0, &["up", "lib.yaml"]);
    assert_eq!(scene.read(library), ours);
    assert_eq!(scene.processes(), servers, "nothing was started again");

    scene.expect(0, &["down", "lib.yaml"]);
    scene.assert_nothing_left();
}
