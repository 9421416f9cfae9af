//! What outlasts a moment: servers that are all gone, files that run out, calls to the outside, a night without anybody.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::scene::until;
use crate::single::Single;
use crate::tally::{Fault, Tally};

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        id: "A11",
        what: "the client hangs and the controller is dead: the client's script tells somebody",
        how: "SIGSTOP of the client, kill -9 of the controller, time 20 times as fast",
        tries: 3,
        quick: 1,
        run: nobody_looks,
    },
    Fault {
        id: "D6 all",
        what: "every server of a class is gone for three minutes: held, no error is left",
        how: "kill -9 at 30 %, and of each start for 18 s at ten times the speed",
        tries: 2,
        quick: 1,
        run: outage,
    },
    Fault {
        id: "E4",
        what: "the client's open files run out: its limit is raised while it runs",
        how: "a client that never closes a file, soft limit 60",
        tries: 3,
        quick: 1,
        run: leak,
    },
    Fault {
        id: "E5",
        what: "the client calls an address that nobody declared: told, 7",
        how: "a listener outside of the plan",
        tries: 3,
        quick: 1,
        run: outside,
    },
];

fn nobody_looks(tries: usize, tally: &mut Tally) {
    for _ in 0..tries {
        let mut single = Single::new("slow", 30);
        single.scale = 20;
        single.change(
            "when_done: down",
            "when_done: down\nnotify: { command: [./tell.sh] }",
        );
        single.scene.write(
            "tell.sh",
            "#!/bin/bash\nread -r line\nprintf '%s\\n' \"$line\" >>told\n",
        );
        let tell = single.scene.path("tell.sh");
        std::fs::set_permissions(tell, PermissionsExt::from_mode(0o755)).unwrap();
        let up = single.up();
        single.progress();
        let client = single.leader("eval-sums").unwrap();
        let group = Pid::from_raw(i32::try_from(client).unwrap()).unwrap();
        kill_process_group(group, Signal::STOP).unwrap();
        up.signal(Signal::KILL);
        up.end();
        let since = Instant::now();
        until("the alarm", || {
            let told = std::fs::read_to_string(single.scene.path("told")).unwrap_or_default();
            told.contains("\"unwatched\"").then_some(())
        });
        tally.detected(since);
        kill_process_group(group, Signal::CONT).unwrap();
        tally.tried();
        let up = single.up();
        single.finish(up, tally);
    }
}

/// Asks the server before it answers; without one it is an error.
const ASKER: &str = r#"mkdir -p "$2"
while IFS= read -r line; do
  id=${line#*'"id":"'} id=${id%%'"'*}
  [[ -e $2/$id.json ]] && continue
  status=error
  if (exec 3<>"/dev/tcp/$3/8000") 2>/dev/null; then status=done; fi
  sleep 0.1
  printf '{"id":"%s","status":"%s"}' "$id" "$status" >"$2/.$id" && mv "$2/.$id" "$2/$id.json"
  echo "SUM_DONE id=$id status=$status"
done <"$1"
"#;

fn outage(tries: usize, tally: &mut Tally) {
    for _ in 0..tries {
        let mut single = Single::new("plain", 100);
        single.scale = 10;
        let host = format!("{}1.1", single.scene.network());
        single.change(
            "\"{results}\"]",
            &format!("\"{{results}}\", \"{host}\"]\n    requires: [chat]"),
        );
        single.change(
            "attempts: 20, backoff: 200ms } }",
            "attempts: 999, backoff: 1s } }",
        );
        single.scene.write("client.sh", ASKER);
        let up = single.up();
        until("thirty results", || {
            (single.scene.results("out") >= 30).then_some(())
        });
        single.forget();
        let since = Instant::now();
        // Three minutes of toolorch: whoever starts is killed at once.
        while since.elapsed() < Duration::from_secs(18) {
            if single.leader("chat-0").is_some() {
                single.kill("chat-0");
            }
            if tally.detected.len() == tally.tries && !single.events("eval-held").is_empty() {
                tally.detected(since);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let since = Instant::now();
        until("the client to go on", || {
            (!single.events("eval-resumed").is_empty()).then_some(())
        });
        tally.recovered(since);
        tally.tried();
        let said = up.end();
        for name in single.scene.result_names("out") {
            let text = single.scene.read(&format!("out/{name}"));
            assert!(text.contains("\"done\""), "{name}: {text}");
        }
        single.judge(&said, tally);
    }
}

/// Keeps a file open for each question.
const LEAKER: &str = r#"mkdir -p "$2"
while IFS= read -r line; do
  id=${line#*'"id":"'} id=${id%%'"'*}
  [[ -e $2/$id.json ]] && continue
  exec {file}</dev/null || exit 1
  sleep 0.1
  printf '{"id":"%s","status":"done"}' "$id" >"$2/$id.json"
  echo "SUM_DONE id=$id status=done"
done <"$1"
"#;

fn leak(tries: usize, tally: &mut Tally) {
    for _ in 0..tries {
        let single = Single::new("plain", 70);
        single.change(
            "[bash, client.sh,",
            "[bash, -c, 'ulimit -Sn 60; exec bash client.sh \"$@\"', client,",
        );
        single.scene.write("client.sh", LEAKER);
        let since = Instant::now();
        let up = single.up();
        until("a raised limit", || {
            (!single.events("files-raised").is_empty()).then_some(())
        });
        tally.detected(since);
        tally.tried();
        single.finish(up, tally);
    }
}

fn outside(tries: usize, tally: &mut Tally) {
    for _ in 0..tries {
        let single = Single::new("plain", 4);
        let stranger = TcpListener::bind("127.0.77.2:0").unwrap();
        let place = stranger.local_addr().unwrap();
        single.scene.write(
            "caller.sh",
            &format!(
                "exec 9<>/dev/tcp/{}/{}\ntouch called\nwhile [[ ! -e go ]]; do sleep 0.05; done\n. ./client.sh\n",
                place.ip(),
                place.port()
            ),
        );
        single.change("[bash, client.sh,", "[bash, caller.sh,");
        let up = single.up();
        until("the call", || {
            single.scene.path("called").exists().then_some(())
        });
        let since = Instant::now();
        until("the alarm", || {
            let alarms = single.events("alarm");
            alarms
                .iter()
                .any(|alarm| alarm["alarm"] == "outside-call")
                .then_some(())
        });
        tally.detected(since);
        single.scene.write("go", "");
        let said = up.end();
        assert_eq!(said.code, 7, "{}", said.err);
        assert_eq!(single.scene.results("out"), 4);
        single.scene.run(&["down", crate::small::YAML]);
        single.scene.assert_nothing_left();
        tally.tried();
    }
}
