//! Commands: their words, what they read and write, how they end.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use toolorch::world::{Command, TransportError, look_at_load};

use super::sshd::Sshd;
use super::{Kind, LONG, Node, on_both};

on_both! {
    codes_and_outputs_come_back
    a_signal_is_a_failure
    a_program_that_is_not_there_was_not_started
    words_arrive_as_they_are
    input_arrives_whole
    much_output_is_cut_and_nothing_hangs
    noise_of_the_login_shell_is_no_output
    any_login_shell_will_do
    a_daemon_that_keeps_the_outputs_open_does_not_keep_us
    a_host_without_bash_is_refused
    what_is_spawned_lives_on
    a_null_byte_is_no_word
    a_machine_says_what_it_does
}

fn codes_and_outputs_come_back(kind: Kind) {
    let sshd = Sshd::start(&[]);
    let node = Node::of(&sshd, kind);
    let done = node
        .exec(&["sh", "-c", "printf out; printf err >&2; exit 17"])
        .unwrap();
    assert_eq!(
        (done.code, &*done.stdout, &*done.stderr),
        (Some(17), "out", "err")
    );
    // Its own 255 is not that of ssh, and its last line need not end.
    assert_eq!(
        node.exec(&["sh", "-c", "exit 255"]).unwrap().code,
        Some(255)
    );
    assert_eq!(node.says(&["printf", "a\n\n"]), "a\n\n");
    assert_eq!(node.says(&["true"]), "");
    // One login for all.
    assert_eq!(sshd.logins(), 1);
}

/// What samples of nodes rest on.
fn a_machine_says_what_it_does(kind: Kind) {
    let sshd = Sshd::start(&[]);
    let node = Node::of(&sshd, kind);
    let seen = node.block_on(look_at_load(node.transport(), true)).unwrap();
    assert!(seen.load.is_some() && seen.cores >= Some(1), "{seen:?}");
    assert!(
        seen.memory
            .is_some_and(|(available, total)| available < total)
    );
    drop(sshd);
    assert_eq!(node.block_on(look_at_load(node.transport(), true)), None);
}

fn a_signal_is_a_failure(kind: Kind) {
    let sshd = Sshd::start(&[]);
    let node = Node::of(&sshd, kind);
    let done = node.exec(&["sh", "-c", "kill -9 $$"]).unwrap();
    assert_eq!((done.code, &*done.stderr), (Some(128 + 9), ""));
    // The shell that would have said the outcome is killed instead.
    let error = node.exec(&["sh", "-c", "kill -9 $PPID"]).unwrap_err();
    assert!(matches!(error, TransportError::Unknown { .. }), "{error}");
    assert_eq!(node.says(&["echo", "on"]), "on\n");
}

fn a_program_that_is_not_there_was_not_started(kind: Kind) {
    let sshd = Sshd::start(&[]);
    let node = Node::of(&sshd, kind);
    let error = node.exec(&["no-such-program", "x"]).unwrap_err();
    assert!(matches!(error, TransportError::Start { .. }), "{error}");
    insta::allow_duplicates! {
        insta::assert_snapshot!(error, @"cannot run `no-such-program` on `node`: there is no such program");
    }
    // A builtin, a function or a keyword of bash is no program.
    for word in ["cd", "each", "if", ""] {
        let error = node.exec(&[word]).unwrap_err();
        assert!(matches!(error, TransportError::Start { .. }), "{error}");
    }
    let argv = ["no-such-program".to_owned()];
    let error = node.block_on(node.transport().spawn(&argv)).unwrap_err();
    assert!(matches!(error, TransportError::Start { .. }), "{error}");
}

fn words_arrive_as_they_are(kind: Kind) {
    let sshd = Sshd::start(&[]);
    let node = Node::of(&sshd, kind);
    let check = |words: &[String]| {
        let mut argv = vec!["printf", "%s\\0", "first"];
        argv.extend(words.iter().map(String::as_str));
        let expected = format!("first\0{}\0", words.join("\0"));
        let expected = if words.is_empty() {
            "first\0"
        } else {
            &expected
        };
        assert_eq!(node.says(&argv), expected);
    };
    let odd = [
        "",
        " ",
        "a b",
        "'",
        "\"",
        "\\",
        "\n",
        "\r\n",
        "\t",
        "*",
        "?",
        "[a]",
        "~",
        "$HOME",
        "${x}",
        "$(id)",
        "`id`",
        "!!",
        "#",
        ";",
        "&",
        "|",
        ">",
        "<",
        "(",
        ")",
        "{a,b}",
        "-n",
        "--",
        "é",
        "日本",
        "\u{1}\u{7f}",
        "\u{202e}",
        "=",
        "a=b",
        "%s",
        "\\n",
        "$'x'",
        "__toolorch",
        "}",
        "{",
    ];
    check(&odd.map(str::to_owned));
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 48,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let word = proptest::collection::vec(
        any::<char>().prop_filter("no shell has a null byte", |c| *c != '\0'),
        0..12,
    );
    let words = proptest::collection::vec(word.prop_map(String::from_iter), 0..24);
    runner
        .run(&words, |words| {
            check(&words);
            Ok(())
        })
        .unwrap();
}

fn input_arrives_whole(kind: Kind) {
    let sshd = Sshd::start(&[]);
    let node = Node::of(&sshd, kind);
    let run = |command: &Command| node.block_on(node.transport().exec(command, LONG)).unwrap();
    let bytes: Vec<u8> = (0..3_000_000_u32)
        .map(|n| u8::try_from(n % 251 * (n % 7) % 256).unwrap())
        .collect();
    // Both directions are full at once, which a client that first writes and then reads would not survive.
    let sum = run(&Command::new(["sh", "-c", "tee /dev/stderr | cksum"]).with_stdin(bytes.clone()));
    let here = cksum(&bytes);
    assert_eq!(sum.stdout, here);
    // A null byte in it, and who reads nothing of it.
    assert_eq!(
        run(&Command::new(["wc", "-c"]).with_stdin(*b"a\0b\n"))
            .stdout
            .trim(),
        "4"
    );
    assert_eq!(run(&Command::new(["true"]).with_stdin(bytes)).code, Some(0));
    // Without input there is an end at once.
    assert_eq!(run(&Command::new(["wc", "-c"])).stdout.trim(), "0");
}

fn cksum(bytes: &[u8]) -> String {
    use std::io::Write as _;
    let mut child = std::process::Command::new("cksum")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(bytes).unwrap();
    String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
}

fn much_output_is_cut_and_nothing_hangs(kind: Kind) {
    let sshd = Sshd::start(&[]);
    let node = Node::of(&sshd, kind);
    let script = "head -c 20000000 /dev/zero | tr '\\0' a & head -c 1000000 /dev/zero | tr '\\0' b >&2; wait; exit 3";
    let done = node.exec(&["sh", "-c", script]).unwrap();
    assert_eq!((done.code, done.cut), (Some(3), true));
    assert_eq!(
        (done.stdout.len(), done.stderr.len()),
        (16 * 1024 * 1024, 1_000_000)
    );
    assert!(done.stdout.bytes().all(|byte| byte == b'a'));
    assert!(!node.exec(&["true"]).unwrap().cut);
}

fn noise_of_the_login_shell_is_no_output(kind: Kind) {
    let noise = "ForceCommand echo welcome; echo warning >&2; eval \"$SSH_ORIGINAL_COMMAND\"";
    let sshd = Sshd::start(&[noise]);
    let node = Node::of(&sshd, kind);
    let done = node.exec(&["sh", "-c", "echo out; echo err >&2"]).unwrap();
    assert_eq!((&*done.stdout, &*done.stderr), ("out\n", "err\n"));
}

/// `ForceCommand` hands the request to another shell, as if that were the login shell.
fn any_login_shell_will_do(kind: Kind) {
    let here = |name: &&str| Path::new("/bin").join(name).exists();
    let shells: Vec<&str> = ["dash", "tcsh", "fish", "zsh", "ksh"]
        .into_iter()
        .filter(here)
        .collect();
    assert!(shells.contains(&"dash"), "{shells:?}");
    for shell in shells {
        let sshd = Sshd::start(&[&format!(
            "ForceCommand exec {shell} -c \"$SSH_ORIGINAL_COMMAND\""
        )]);
        let node = Node::of(&sshd, kind);
        assert_eq!(
            node.says(&["printf", "%s|", "a'b", "$x", "*\n"]),
            "a'b|$x|*\n|",
            "{shell}"
        );
    }
}

fn a_daemon_that_keeps_the_outputs_open_does_not_keep_us(kind: Kind) {
    let sshd = Sshd::start(&[]);
    let node = Node::of(&sshd, kind);
    let began = Instant::now();
    let done = node.exec(&["sh", "-c", "sleep 600 & echo $!"]).unwrap();
    assert!(began.elapsed() < LONG);
    super::sshd::end(done.stdout.trim().parse().unwrap());
}

fn a_host_without_bash_is_refused(kind: Kind) {
    let sshd = Sshd::start(&["ForceCommand echo This account is currently not available.; exit 1"]);
    let node = Node::of(&sshd, kind);
    let error = node.refuses();
    assert!(matches!(error, TransportError::Refused { .. }), "{error}");
    let text = error.to_string().replace(&sshd.port.to_string(), "PORT");
    match kind {
        Kind::Ssh2 => {
            insta::assert_snapshot!(text, @"cannot use `node` (127.0.0.1 port PORT): it let us in and did not run bash; it said: This account is currently not available.; bash must be on the PATH of the login shell there, and that shell must run commands (see chsh, ForceCommand); or log in as another user");
        }
        Kind::SystemSsh => {
            insta::assert_snapshot!(text, @"cannot use `node` (by the system's ssh): it let us in and did not run bash; it said: This account is currently not available.; bash must be on the PATH of the login shell there, and that shell must run commands (see chsh, ForceCommand); or log in as another user");
        }
    }
}

fn what_is_spawned_lives_on(kind: Kind) {
    let sshd = Sshd::start(&[]);
    let node = Node::of(&sshd, kind);
    node.says(&["true"]);
    let mark = sshd.path("spawned");
    let script =
        "trap 'exit 7' INT; readlink /proc/self/fd/* >\"$0\"; while :; do sleep 0.05; done";
    let argv = ["bash", "-c", script, mark.to_str().unwrap()].map(str::to_owned);
    let began = Instant::now();
    let pid = node.block_on(node.transport().spawn(&argv)).unwrap();
    assert!(began.elapsed() < Duration::from_secs(30));
    // It is the program itself, the leader of a session of its own.
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat
        .rsplit_once(')')
        .unwrap()
        .1
        .split_whitespace()
        .collect();
    assert_eq!(fields[3], pid.to_string());
    drop(node);
    let lives = || {
        std::fs::read_to_string(format!("/proc/{pid}/stat"))
            .is_ok_and(|stat| !stat.contains(") Z "))
    };
    assert!(lives());
    let text = || std::fs::read_to_string(&mark).unwrap_or_default();
    while text().lines().count() < 3 {
        assert!(began.elapsed() < LONG && lives(), "{}", text());
        std::thread::sleep(Duration::from_millis(5));
    }
    let open = text();
    assert!(
        open.lines().take(1).all(|path| path == "/dev/null"),
        "{open}"
    );
    assert!(!open.contains("socket") && !open.contains("pipe"), "{open}");
    // Ctrl-C ends it: nothing on the way made it deaf.
    let id = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
    while lives() {
        assert!(began.elapsed() < LONG);
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn a_null_byte_is_no_word(kind: Kind) {
    let sshd = Sshd::start(&[]);
    let node = Node::of(&sshd, kind);
    insta::allow_duplicates! {
        insta::assert_snapshot!(node.exec(&["echo", "a\0b"]).unwrap_err(), @"cannot run `echo` on `node`: a null byte is in an argument");
    }
}
