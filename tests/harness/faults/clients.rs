//! Evaluations: clients that die, stall, err or stop early, results and datasets that are not what they should be.

use std::time::Instant;

use rustix::process::Signal;

use crate::scene::{kill, until};
use crate::single::Single;
use crate::small::YAML;
use crate::tally::{Fault, Tally};

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        id: "E1",
        what: "the client dies in silence: it goes on with what is missing",
        how: "kill -9",
        tries: 5,
        quick: 2,
        run: dies,
    },
    Fault {
        id: "E2",
        what: "the client lives and does nothing: stalled, started again",
        how: "SIGSTOP, `limits: { stall: 3s }`",
        tries: 3,
        quick: 1,
        run: stalls,
    },
    Fault {
        id: "E3",
        what: "all results are errors: stopped early, 5",
        how: "a client that only writes errors",
        tries: 3,
        quick: 1,
        run: only_errors,
    },
    Fault {
        id: "E6",
        what: "a torn result: set aside and made again",
        how: "`toolorch sim fault eval-sums torn`",
        tries: 5,
        quick: 1,
        run: torn,
    },
    Fault {
        id: "E7",
        what: "an id twice in the dataset: refused",
        how: "a line twice",
        tries: 1,
        quick: 1,
        run: |tries, tally| dataset("{\"id\":\"q-0\"}\n{\"id\":\"q-0\"}\n", tries, tally),
    },
    Fault {
        id: "E8",
        what: "an id that leads out of the results' folder: refused",
        how: "`../../x`",
        tries: 1,
        quick: 1,
        run: |tries, tally| dataset("{\"id\":\"../../x\"}\n", tries, tally),
    },
    Fault {
        id: "E9",
        what: "results of other questions in the folder: not counted",
        how: "a stray file",
        tries: 2,
        quick: 1,
        run: strangers,
    },
    Fault {
        id: "E10",
        what: "results of another model: refused, left alone",
        how: "the model changed",
        tries: 2,
        quick: 1,
        run: other_model,
    },
    Fault {
        id: "E12",
        what: "the client's code starts processes that never end: none is left",
        how: "a client that forks into other sessions",
        tries: 3,
        quick: 1,
        run: forks,
    },
    Fault {
        id: "E14",
        what: "exit 0 with questions missing: it goes on until all are there",
        how: "a client that ends after two questions",
        tries: 3,
        quick: 1,
        run: early,
    },
];

fn dies(tries: usize, tally: &mut Tally) {
    let mut single = Single::new("slow", 20 * tries);
    let up = single.up();
    for _ in 0..tries {
        single.progress();
        let (exits, starts) = (
            single.count("exited", "eval-sums"),
            single.count("started", "eval-sums"),
        );
        let since = single.kill("eval-sums");
        single.another("exited", "eval-sums", exits);
        tally.detected(since);
        single.another("started", "eval-sums", starts);
        tally.recovered(since);
        tally.tried();
    }
    single.finish(up, tally);
}

fn stalls(tries: usize, tally: &mut Tally) {
    let mut single = Single::new("slow", 30 * tries);
    single.change("first_result: 10m", "first_result: 10m, stall: 3s");
    let up = single.up();
    for _ in 0..tries {
        single.progress();
        let (stops, starts) = (
            single.count("stop-intended", "eval-sums"),
            single.count("started", "eval-sums"),
        );
        let since = Instant::now();
        // All of it: a part that goes on would be a sign of work.
        let client = single.leader("eval-sums").unwrap();
        kill(client, Signal::STOP);
        single.another("stop-intended", "eval-sums", stops);
        tally.detected(since);
        single.another("started", "eval-sums", starts);
        tally.recovered(since);
        tally.tried();
    }
    single.finish(up, tally);
}

fn only_errors(tries: usize, tally: &mut Tally) {
    for _ in 0..tries {
        let single = Single::new("errors", 100);
        let since = Instant::now();
        let said = single.scene.run(&["up", YAML]);
        tally.detected(since);
        assert_eq!(said.code, 5, "{}", said.err);
        let made = single.scene.results("out");
        assert!(made < 60, "{made} of 100 were burnt");
        single.scene.run(&["down", YAML]);
        single.scene.assert_nothing_left();
        tally.tried();
    }
}

fn torn(tries: usize, tally: &mut Tally) {
    for _ in 0..tries {
        let mut single = Single::new("slow", 24);
        let up = single.up();
        single.progress();
        // The one that is torn here is lost by intent: the books begin anew.
        single.forget();
        let starts = single.count("started", "eval-sums");
        let since = single.fault(&["eval-sums", "torn"]);
        until("the torn one aside", || {
            let aside = single.scene.names("out/.toolorch/set-aside");
            aside.iter().any(|name| name.contains("q-")).then_some(())
        });
        tally.detected(since);
        single.another("started", "eval-sums", starts);
        tally.recovered(since);
        tally.tried();
        single.finish(up, tally);
    }
}

fn dataset(text: &str, tries: usize, tally: &mut Tally) {
    for _ in 0..tries {
        let single = Single::new("plain", 1);
        single.scene.write("data.jsonl", text);
        let since = Instant::now();
        let said = single.scene.run(&["up", YAML]);
        tally.detected(since);
        assert_eq!(said.code, 2, "{}", said.err);
        single.scene.assert_nothing_left();
        tally.tried();
    }
}

fn strangers(tries: usize, tally: &mut Tally) {
    for _ in 0..tries {
        let single = Single::new("plain", 3);
        single.scene.write(
            "out/elsewhere.json",
            "{\"id\":\"elsewhere\",\"status\":\"done\"}",
        );
        let said = single.scene.run(&["up", YAML]);
        assert_eq!(single.scene.results("out"), 4, "{}", said.err);
        tally.tried();
        single.judge(&said, tally);
    }
}

fn other_model(tries: usize, tally: &mut Tally) {
    for _ in 0..tries {
        let single = Single::new("plain", 2);
        single.scene.expect(0, &["up", YAML]);
        let before = single.scene.result_names("out");
        single.change("Qwen/Qwen3-8B", "Qwen/Qwen3-4B");
        let since = Instant::now();
        let said = single.scene.run(&["up", YAML]);
        tally.detected(since);
        assert_eq!(said.code, 3, "{}", said.err);
        assert_eq!(single.scene.result_names("out"), before);
        single.scene.assert_nothing_left();
        tally.tried();
    }
}

fn forks(tries: usize, tally: &mut Tally) {
    for _ in 0..tries {
        let mut single = Single::new("slow", 12);
        single.change("command: [bash, client.sh,", "command: [bash, forks.sh,");
        single.scene.write(
            "forks.sh",
            "for n in 1 2 3; do setsid sleep 600 & done\n(while :; do sleep 1; done) &\n. ./client.sh\n",
        );
        let up = single.up();
        single.progress();
        tally.tried();
        single.finish(up, tally);
    }
}

fn early(tries: usize, tally: &mut Tally) {
    for _ in 0..tries {
        let single = Single::new("early", 9);
        let up = single.up();
        tally.tried();
        single.finish(up, tally);
    }
}
