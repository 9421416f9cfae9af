//! The stand-in for services and the proxy that lets nothing out, driven as programs.
#![expect(
    clippy::unwrap_used,
    reason = "a helper of a test fails as the test does"
)]

mod proxy;
mod service;

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// The program as `toolorch sim ARGS`, with nothing of the caller's environment that it reads.
fn program(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_toolorch"));
    command
        .arg("sim")
        .args(args)
        .env_remove("TOOLORCH_SIM_SPEED");
    command
}

/// A running stand-in; killed when dropped.
struct Running {
    child: Child,
    /// `127.0.0.1:PORT`.
    address: String,
    stdout: BufReader<ChildStdout>,
    _stderr: BufReader<ChildStderr>,
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Running {
    /// Starts `toolorch sim ARGS` on a free port.
    fn start(args: &[&str], env: &[(&str, &str)]) -> Self {
        let mut command = program(&[args, &["--port", "0"]].concat());
        command.envs(env.iter().copied());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        if args[0] == "proxy" {
            stderr.read_line(&mut line).unwrap();
        } else {
            stdout.read_line(&mut line).unwrap();
        }
        let (_, address) = line.trim_end().split_once("http://").unwrap();
        Self {
            address: address.to_owned(),
            child,
            stdout,
            _stderr: stderr,
        }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_mins(1)))
            .unwrap();
        stream
    }

    /// Sends bytes, and reads until the other side closes.
    fn exchange(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect();
        stream.write_all(bytes).unwrap();
        rest_of(&mut stream)
    }

    /// The next line of its stdout.
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line
    }

    /// Ends it by SIGTERM; its exit status.
    fn terminate(mut self) -> Option<i32> {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, Signal::TERM).unwrap();
        self.child.wait().unwrap().code()
    }
}

fn rest_of(stream: &mut impl Read) -> String {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

/// Exit status and stderr of a program that must not start.
fn refused(args: &[&str]) -> String {
    let output = program(args).output().unwrap();
    let code = output.status.code().unwrap();
    format!("{code}\n{}", String::from_utf8(output.stderr).unwrap())
}

#[test]
fn what_cannot_start_says_why() {
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = holder.local_addr().unwrap().port().to_string();
    let all = [
        refused(&["service", "--port", &port]),
        refused(&["proxy", "--port", &port]),
        refused(&["proxy", "--port", "0", "--host", "192.0.2.1"]),
        refused(&["proxy", "--port", "0", "--log", "/nowhere/at/all"]),
        refused(&["service"]),
        refused(&["service", "--port", "0", "--latency", "20"]),
        refused(&["nothing"]),
    ];
    let all = all.join("\n").replace(&port, "PORT");
    insta::assert_snapshot!(all, @r"
        1
        toolorch sim service: cannot listen on `127.0.0.1:PORT`: the port is in use; end what holds it, or choose another with `--port`

        1
        toolorch sim proxy: cannot listen on `127.0.0.1:PORT`: the port is in use; end what holds it, or choose another with `--port`

        1
        toolorch sim proxy: cannot listen on `192.0.2.1:0`: this machine does not have that address

        1
        toolorch sim proxy: cannot append to `/nowhere/at/all`: No such file or directory (os error 2)

        2
        error: the following required arguments were not provided:
          --port <PORT>

        Usage: toolorch sim service --port <PORT>

        For more information, try '--help'.

        2
        error: invalid value '20' for '--latency <TIME>': `20` is not a duration: write a number and a unit, such as `90s`, `60m`, `1h30m` or `500ms`

        For more information, try '--help'.

        2
        usage: toolorch sim vllm serve MODEL [flags of vLLM]
               toolorch sim host COUNT vllm serve MODEL [flags of vLLM]
               toolorch sim service --port PORT [--name NAME] [--model ID]
               toolorch sim proxy --port PORT [--log FILE]
               toolorch sim squat HOST PORT 20s
               toolorch sim fault UNIT KIND
               toolorch sim capture CLUSTER.yaml|URL… --out DIR
               toolorch sim fit CAPTURE|RESULTS
        ");
}

#[test]
fn help_goes_to_stdout() {
    for name in ["service", "proxy"] {
        let output = program(&[name, "--help"]).output().unwrap();
        assert_eq!(output.status.code(), Some(0));
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(
            text.contains(&format!("Usage: toolorch sim {name}")),
            "{text}"
        );
        assert!(output.stderr.is_empty());
    }
}
