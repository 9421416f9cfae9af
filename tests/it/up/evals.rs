//! What can become of questions and of the client that asks them, and how each of them gets its answer.

use rustix::process::Signal;
use serde_json::Value;

use super::Scene;
use super::scene::{Going, kill, until};
use super::small::{self, YAML, change};

/// A client that knows how often it was started; `body` does something with each question that has no file yet.
fn client(scene: &Scene, body: &str) {
    let script = r#"out=$2; mkdir -p "$out"
starts=$(cat starts 2>/dev/null); starts=$((starts + 1)); echo "$starts" >starts
answer() { printf '{"id":"%s","status":"%s"%s}' "$1" "$2" "${3:+,\"error_type\":\"$3\"}" >"$out/$1.json"; echo "SUM_DONE id=$1 status=$2"; }
while IFS= read -r line; do
  id=${line#*'"id":"'} id=${id%%'"'*}
  [[ -e $out/$id.json || -L $out/$id.json ]] && continue
  BODY
done <"$1"
exit 0
"#;
    scene.write("client.sh", &script.replace("BODY", body));
}

fn events(scene: &Scene, kind: &str) -> Vec<Value> {
    let records = scene.journal("small").into_iter();
    let events = records.map(|record| record["event"].clone());
    events.filter(|event| event["kind"] == kind).collect()
}

fn alarms(scene: &Scene) -> Vec<String> {
    let alarms = events(scene, "alarm").into_iter();
    alarms
        .map(|alarm| format!("{}: {}", alarm["alarm"], alarm["text"]))
        .collect()
}

fn status_of(scene: &Scene, id: &str) -> String {
    let text = scene.read(&format!("out/{id}.json"));
    let result: Value = serde_json::from_str(&text).unwrap();
    result["status"].as_str().unwrap().to_owned()
}

#[test]
fn what_servers_caused_is_asked_again_once() {
    let scene = small::scene("plain", 6);
    change(&scene, "attempts: 3", "attempts: 0");
    // One gets well, one does not, one brings no result the second time; one is nobody's fault but its own.
    client(
        &scene,
        r#"case $starts/$id in
    1/q-[123]) answer "$id" error openai.APITimeoutError ;;
    1/q-4) answer "$id" error KeyError ;;
    2/q-2) answer "$id" error ReadTimeout ;;
    2/q-3) until [[ -e go ]]; do sleep 0.02; done ;;
    *) answer "$id" done ;;
  esac"#,
    );
    let up = scene.go(scene.toolorch(&["up", YAML]));
    until("the retry's own error", || {
        let log = scene.path("home/runs/small/latest/logs/eval-sums.2.log");
        let log = std::fs::read_to_string(log).unwrap_or_default();
        log.contains("id=q-2 status=error").then_some(())
    });
    // Whoever goes on with it asks nothing a third time.
    up.signal(rustix::process::Signal::KILL);
    up.end();
    assert_eq!(scene.result_names("out").len(), 5, "q-3 waits aside");
    let up = scene.go(scene.toolorch(&["up", YAML]));
    // Of a client that ends before that its end is seen alone, and whoever goes on may ask what is missing.
    until("another controller that found the client", || {
        let found = events(&scene, "started").into_iter();
        let mut found = found.filter(|event| event["unit"] == "eval-sums");
        found.any(|event| event["adopted"] == true).then_some(())
    });
    scene.write("go", "");
    let said = up.end();
    assert_eq!(said.code, 5, "{}", said.err);
    let happened = scene.run(&["events", "small.yaml"]).out;
    assert_eq!(scene.read("starts"), "2\n", "{happened}");
    let statuses: Vec<String> = (0..6)
        .map(|n| status_of(&scene, &format!("q-{n}")))
        .collect();
    assert_eq!(statuses.join(" "), "done done error error error done");
    let intended = events(&scene, "retry-intended");
    assert_eq!(intended.len(), 1);
    assert_eq!(intended[0]["ids"], 3);
    let aside = scene.names("out/.toolorch/set-aside/errors");
    assert_eq!(aside, ["q-1.json.1", "q-2.json.1"]);
    assert_eq!(
        scene.names("out/.toolorch/set-aside/asked-again"),
        [] as [String; 0]
    );
    for words in [
        "asked again of `sums`: 3 in error, 3 left",
        "3 (2 by servers)",
    ] {
        assert!(said.out.contains(words), "{words} in {}", said.out);
    }
    scene.assert_nothing_left();
}

#[test]
fn lines_in_error_are_asked_again_too() {
    let scene = small::scene("plain", 3);
    change(
        &scene,
        "results: out",
        "results: out.jsonl\n    retry_errors: all",
    );
    scene.write(
        "client.sh",
        r#"starts=$(cat starts 2>/dev/null); starts=$((starts + 1)); echo "$starts" >starts
while IFS= read -r line; do
  id=${line#*'"id":"'} id=${id%%'"'*}
  grep -qs "\"$id\"" "$2" && continue
  status=done; [[ $starts/$id == 1/q-1 ]] && status=error
  echo "{\"id\":\"$id\",\"status\":\"$status\"}" >>"$2"
  echo "SUM_DONE id=$id status=$status"
done <"$1"
"#,
    );
    let said = scene.expect(0, &["up", YAML]);
    assert!(
        said.out
            .contains("asked again of `sums`: 1 in error, none is left"),
        "{}",
        said.out
    );
    let text = scene.read("out.jsonl");
    assert_eq!(text.matches("\"q-1\"").count(), 1, "{text}");
    assert_eq!(text.matches("done").count(), 3, "{text}");
    scene.assert_nothing_left();
}

#[test]
fn whatever_a_client_leaves_behind_each_question_gets_its_answer() {
    let scene = small::scene("plain", 8);
    // Killed in the middle of a write, a full disk, nothing at all, a link to nowhere; then an end by 0 with questions
    // left; then code of a model that goes on by itself.
    client(
        &scene,
        r#"case $starts/$id in
    1/q-0) answer other-dataset-1 done; answer "$id" done ;;
    1/q-1) head -c 65536 /dev/zero | tr '\0' ' ' | sed '1s/^./{/' >"$out/$id.json" ;;
    1/q-2) : >"$out/$id.json" ;;
    1/q-3) ln -s nowhere "$out/$id.json" ;;
    1/q-4) printf '{"id": "%s", "sta' "$id" >"$out/$id.json"; kill -9 $$ ;;
    2/q-1) answer "$id" done; exit 0 ;;
    *) answer "$id" done ;;
  esac
  [[ $starts/$id == 3/q-7 ]] && { setsid sleep 600 & (sleep 600; :) & disown -a; }"#,
    );
    let said = scene.expect(0, &["up", YAML]);
    assert_eq!(scene.read("starts"), "3\n");
    for n in 0..8 {
        assert_eq!(status_of(&scene, &format!("q-{n}")), "done");
    }
    // Of another dataset: neither counted nor touched.
    assert_eq!(status_of(&scene, "other-dataset-1"), "done");
    assert!(said.err.contains("complete · 8/8 (100 %)"), "{}", said.err);
    let aside = scene.names("out/.toolorch/set-aside");
    let torn = ["q-1.json.1", "q-2.json.1", "q-3.json.1", "q-4.json.1"];
    assert_eq!(aside, torn);
    scene.assert_nothing_left();
}

/// A client that leaves a file open for each question; it dies of the one too many.
#[test]
fn a_client_that_dies_of_the_load_gets_less_of_it() {
    let scene = small::scene("plain", 6);
    change(
        &scene,
        r#""{results}"]"#,
        r#""{results}", "{concurrency}"]"#,
    );
    change(
        &scene,
        "    restart: { attempts: 3,",
        "    concurrency: 8\n    restart: { concurrency: [4, 2], attempts: 3,",
    );
    client(
        &scene,
        r#"(($3 > 2 && n > 0)) && exit 9
  n=1
  answer "$id" "$3""#,
    );
    let said = scene.expect(0, &["up", YAML]);
    assert!(
        said.err
            .contains("sums: 4 questions in flight from its next start on"),
        "{}",
        said.err
    );
    let all: Vec<String> = (0..6)
        .map(|n| status_of(&scene, &format!("q-{n}")))
        .collect();
    assert_eq!(all, ["8", "4", "2", "2", "2", "2"]);
}

#[test]
fn a_finished_evaluation_needs_no_server() {
    let scene = small::scene("plain", 4);
    change(
        &scene,
        "port: 8000 }",
        "port: 8000, restart: { attempts: 0 } }",
    );
    // Its last question is answered, and it takes a while to end.
    client(
        &scene,
        r#"answer "$id" done; [[ $id == q-3 ]] && until [[ -e go ]]; do sleep 0.02; done"#,
    );
    let up = scene.go(scene.toolorch(&["up", YAML]));
    until("all results", || (scene.results("out") == 4).then_some(()));
    let server = small::server(&scene).as_u64().unwrap();
    kill(u32::try_from(server).unwrap(), Signal::KILL);
    until("its server to be given up", || {
        (!events(&scene, "gave-up").is_empty()).then_some(())
    });
    scene.write("go", "");
    let said = up.end();
    assert_eq!(said.code, 0, "{}", said.err);
    assert_eq!(events(&scene, "eval-held"), [] as [Value; 0]);
}

fn leaking() -> Scene {
    let scene = small::scene("plain", 70);
    change(&scene, "attempts: 3", "attempts: 0");
    client(
        &scene,
        r#"exec {leak}</dev/null || exit 1; sleep 0.15; answer "$id" done"#,
    );
    scene
}

#[test]
fn a_limit_of_open_files_is_raised_while_the_client_runs() {
    let scene = leaking();
    change(
        &scene,
        "[bash, client.sh,",
        "[bash, -c, 'ulimit -Sn 60; exec bash client.sh \"$@\"', client,",
    );
    let said = scene.expect(0, &["up", YAML]);
    assert_eq!(
        (scene.results("out"), scene.read("starts").as_str()),
        (70, "1\n")
    );
    let raised = &events(&scene, "files-raised")[0];
    assert_eq!(raised["from"], 60);
    assert!(raised["to"].as_u64().unwrap() >= 1024, "{raised}");
    assert!(
        said.err.contains("of 60 files open, its limit is"),
        "{}",
        said.err
    );
    scene.assert_nothing_left();
}

#[test]
fn a_client_goes_on_afresh_before_its_files_are_full() {
    let scene = leaking();
    change(&scene, "env: { set:", "env: { setup: [ulimit -n 60], set:");
    scene.expect(0, &["up", YAML]);
    assert_eq!(scene.results("out"), 70);
    let told = alarms(&scene);
    assert!(
        told.iter()
            .any(|text| text.contains("it is stopped, and goes on afresh")),
        "{told:?}"
    );
    let exits = events(&scene, "exited");
    let died = exits
        .iter()
        .filter(|exit| exit["exit"]["requested"] == false && exit["exit"]["code"] == 1);
    assert_eq!(died.count(), 0, "{exits:?}");
    scene.assert_nothing_left();
}

/// A client that prints what ToolOrchestra's prints, and whose last question hangs.
#[test]
fn the_last_question_and_whom_it_waits_for_are_shown() {
    let scene = small::scene("plain", 4);
    change(&scene, "first_result: 2s", "first_result: 1h");
    client(
        &scene,
        r#"if [[ $id == q-3 ]]; then
    echo "[search] WARNING: retrieval failed after 8 retries; continuing with empty results. last_err=x"
    echo "DEBUG: Calling vLLM at http://$MODE:8000/v1/chat/completions (model=m) req_id=7"
    until [[ -e go ]]; do sleep 0.02; done
  fi
  answer "$id" done"#,
    );
    change(
        &scene,
        "MODE: plain",
        &format!("MODE: {}1.1", scene.network()),
    );
    // Six minutes are as many seconds.
    let quickly = |args: &[&str]| {
        let mut command = scene.toolorch(args);
        command.env("TOOLORCH_TIME_SCALE", "60");
        scene.go(command)
    };
    let up: Going = quickly(&["up", YAML]);
    let shown = until("the last question in `status`", || {
        let shown = quickly(&["status"]).end().out;
        let all = shown.contains("left: q-3") && shown.contains("starves");
        all.then_some(shown)
    });
    assert!(
        shown.contains("waits for chat-0 with 1 call; left: q-3 for "),
        "{shown}"
    );
    scene.write("go", "");
    let said = up.end();
    assert_eq!(said.code, 0, "{}", said.err);
    let told = alarms(&scene);
    for alarm in ["\"starvation\"", "\"retrieval-failed\""] {
        assert!(told.iter().any(|text| text.starts_with(alarm)), "{told:?}");
    }
    let counted = "in answers of `sums`: searches without results 1";
    assert!(said.out.contains(counted), "{}", said.out);
    scene.assert_nothing_left();
}
