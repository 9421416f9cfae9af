//! The least cluster that does everything: one simulated model and a client of twenty lines.

use serde_json::Value;

use super::Scene;

pub(crate) const YAML: &str = "small.yaml";

const CLUSTER: &str = r#"version: 1
name: small
vllm: { version: "0.12.0" }
nodes: { box: { gpus: 0, transport: local, address: 127.0.1.1 } }
models:
  chat: { engine: sim, model: Qwen/Qwen3-8B, node: box, port: 8000 }
client_config: { format: toolorchestra, path: config.json }
evals:
  sums:
    command: [bash, client.sh, "{dataset}", "{results}"]
    env: { set: { MODE: plain } }
    dataset: data.jsonl
    results: out
    marker: SUM_DONE
    limits: { first_result: 2s }
    restart: { attempts: 3, backoff: 100ms }
when_done: down
"#;

/// What MODE says goes wrong; otherwise it is a client as one would wish.
const CLIENT: &str = r#"mkdir -p "$2"
n=0
while IFS= read -r line; do
  id=${line#*'"id":"'} id=${id%%'"'*}
  [[ -e $2/$id.json ]] && continue
  status=done
  case $MODE in
    slow) sleep 0.25 ;;
    nothing) exit 0 ;;
    early) ((n < 2)) || exit 0 ;;
    silent) sleep 60 ;;
    errors) status=error; sleep 0.1 ;;
  esac
  printf '{"id":"%s","status":"%s"}' "$id" "$status" >"$2/$id.json"
  echo "SUM_DONE id=$id status=$status"
  n=$((n + 1))
done <"$1"
"#;

/// The cluster with this MODE and so many questions.
pub(crate) fn scene(mode: &str, questions: usize) -> Scene {
    let scene = Scene::new();
    let yaml = CLUSTER.replace("MODE: plain", &format!("MODE: {mode}"));
    scene.write(YAML, &scene.here(&yaml));
    scene.write("client.sh", CLIENT);
    let lines = (0..questions).map(|n| format!("{{\"id\":\"q-{n}\"}}\n"));
    scene.write("data.jsonl", &lines.collect::<String>());
    scene
}

/// The same YAML with one text for another, which must be there.
pub(crate) fn change(scene: &Scene, from: &str, to: &str) {
    let yaml = scene.read(YAML);
    assert!(yaml.contains(from), "{from}");
    scene.write(YAML, &yaml.replace(from, to));
}

/// The process of the server's last start.
pub(crate) fn server(scene: &Scene) -> Value {
    let journal = scene.journal("small");
    let mut started = journal
        .iter()
        .map(|record| &record["event"])
        .filter(|event| event["kind"] == "started" && event["unit"] == "chat-0");
    started.next_back().unwrap()["pid"].clone()
}
