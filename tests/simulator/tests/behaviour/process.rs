//! The binary: the line it prints, how it ends, and that nothing secret reaches its output.

use crate::client::{Client, KEY, example};
use crate::shell::exchange_with;
use jiff::Timestamp;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};

/// Ends the process also where an assertion fails.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn it_says_where_it_listens_ends_on_a_signal_and_keeps_secrets() {
    for signal in ["TERM", "INT"] {
        let child = Command::new(env!("CARGO_BIN_EXE_tencentcloud-simulator"))
            .args(["--listen", "127.0.0.1:0", "--account"])
            .arg(format!("AKIDtest:{KEY}"))
            .env("RUST_LOG", "trace")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut running = Running(child);
        let mut stdout = BufReader::new(running.0.stdout.take().unwrap());
        // Read all along: a full pipe would stop the program.
        let mut stderr = running.0.stderr.take().unwrap();
        let log = std::thread::spawn(move || {
            let mut log = String::new();
            stderr.read_to_string(&mut log).map(|_| log)
        });
        let mut output = String::new();
        stdout.read_line(&mut output).unwrap();
        let url = output.trim_end().strip_prefix("listening on http://").unwrap();
        let request = Client::default().post("CreatePaiInstance", &example(), Timestamp::now());
        let answer = exchange_with(url.parse().unwrap(), &request).await;
        assert!(answer.contains("InstanceIdSet"), "{answer}");
        let kill = format!("kill -{signal} {}", running.0.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
        assert!(running.0.wait().unwrap().success());
        stdout.read_to_string(&mut output).unwrap();
        output.push_str(&log.join().unwrap().unwrap());
        assert!(output.contains("answered"), "the log is on");
        let script = "IyEvYmluL2Jhc2gKZWNobyAiaGVsbG8iCg==";
        for secret in [KEY, "PAI@Test123", script, "Signature="] {
            assert!(!output.contains(secret), "{secret} is in the output");
        }
    }
}
